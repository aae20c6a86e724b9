import { allUsers, operatorName, parsePrincipalName } from '../kernel/principal.ts';
import type { DocumentsUnderway, GroupEntry, Placed } from './document.ts';
import type { Findings } from './findings.ts';
import { present, readComment, readGroupName, readPrincipalList } from './parse-names.ts';
import type { Field, YamlValue } from './yaml-reader.ts';

/** `kind: principals`: groups, service principals, attributes. */
export function readPrincipals(root: YamlValue, into: DocumentsUnderway, findings: Findings): void {
  const fields = root.fields('principals', {
    kind: 'required',
    groups: 'optional',
    servicePrincipals: 'optional',
    attributes: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return;
  readComment(fields.comment);
  for (const field of fields.groups?.entries('groups') ?? []) {
    const group = readGroup(field, findings);
    if (group !== undefined) into.groups.push(group);
  }
  for (const field of fields.servicePrincipals?.entries('servicePrincipals') ?? [])
    readServicePrincipal(field, into, findings);
  for (const field of fields.attributes?.entries('attributes') ?? []) readAttributes(field, into, findings);
}

function readGroup({ key, value }: Field, findings: Findings): GroupEntry | undefined {
  const name = readName(key, findings, readGroupName);
  if (name === undefined) return undefined;
  const fields = value.fields(`group ${key.value}`, {
    members: 'optional',
    source: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return undefined;
  readComment(fields.comment);
  const source = readSource(fields.source);
  if (fields.members !== undefined && fields.source !== undefined)
    findings.error(
      'members-and-source',
      value.at,
      `group ${key.value} has members and a source: one of both`,
    );
  if (fields.members === undefined && fields.source === undefined)
    findings.error('missing-key', value.at, `group ${key.value} needs "members" or "source"`);
  return { name, members: readPrincipalList(fields.members, 'members'), source };
}

function readSource(value: YamlValue | undefined): GroupEntry['source'] {
  if (value === undefined) return undefined;
  const text = value.scalarText('source');
  if (text === 'claim' || text === 'scim') return text;
  return value.wrong('source must be "claim" or "scim"');
}

function readServicePrincipal({ key, value }: Field, into: DocumentsUnderway, findings: Findings): void {
  const name = readName(key, findings, parsePrincipalName);
  if (name === undefined) return;
  if (name.value.includes('@')) {
    const hint = 'names with @ are users';
    findings.error('invalid-name', key.at, `${JSON.stringify(key.value)} is no service principal`, hint);
    return;
  }
  if (value.fields(`service principal ${key.value}`, { comment: 'optional' }) === undefined) return;
  into.servicePrincipals.push(name);
}

function readAttributes({ key, value }: Field, into: DocumentsUnderway, findings: Findings): void {
  const principal = readName(key, findings, parsePrincipalName);
  if (principal === undefined) return;
  const values = value.entries(`attributes of ${key.value}`).map((field) => ({
    name: field.key,
    values: field.value
      .oneOrMany(`attribute ${field.key.value}`)
      .map((one) => one.scalarText(`attribute ${field.key.value}`))
      .filter(present),
  }));
  into.attributes.push({ principal, values });
}

/** A key that names a principal or group; the reserved names are refused. */
function readName<T extends string>(
  key: Placed<string>,
  findings: Findings,
  parse: (text: string) => T,
): Placed<T> | undefined {
  try {
    const value = parse(key.value);
    const folded = value.toLowerCase();
    if (folded !== allUsers && folded !== operatorName) return { value, at: key.at };
    findings.error('reserved-name', key.at, `${JSON.stringify(key.value)} is a name of Writ's own`);
  } catch {
    findings.error('invalid-name', key.at, `invalid name ${JSON.stringify(key.value)}`);
  }
  return undefined;
}
