import type { DocumentsUnderway, Placed } from './document.ts';
import type { Findings } from './findings.ts';
import {
  readClusters,
  readComment,
  readPrincipal,
  readPrincipalList,
  readPrivileges,
  readSecurables,
} from './parse-names.ts';
import type { YamlValue } from './yaml-reader.ts';

/** `kind: grants`: owners and grants. */
export function readGrants(root: YamlValue, into: DocumentsUnderway, findings: Findings): void {
  const fields = root.fields('grants', {
    kind: 'required',
    owners: 'optional',
    grants: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return;
  readComment(fields.comment);
  for (const entry of fields.owners?.list('owners') ?? []) readOwner(entry, into);
  for (const entry of fields.grants?.list('grants') ?? []) readGrant(entry, into, findings);
}

function readOwner(entry: YamlValue, into: DocumentsUnderway): void {
  const fields = entry.fields('owners', { on: 'required', owner: 'required', comment: 'optional' });
  if (fields === undefined) return;
  readComment(fields.comment);
  const owner = fields.owner === undefined ? undefined : readPrincipal(fields.owner, 'owner');
  const on = readSecurables(fields.on);
  if (owner !== undefined) into.owners.push({ on, owner });
}

function readGrant(entry: YamlValue, into: DocumentsUnderway, findings: Findings): void {
  const fields = entry.fields('a grant', {
    on: 'required',
    to: 'required',
    privileges: 'optional',
    assume: 'optional',
    expires: 'optional',
    clusters: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return;
  readComment(fields.comment);
  if ((fields.privileges === undefined) === (fields.assume === undefined))
    findings.error('missing-key', entry.at, 'a grant needs "privileges" or "assume", one of both');
  const expires = readExpires(fields.expires);
  // A grant whose expiry cannot be read is left out: it must not last for ever by mistake.
  if (fields.expires !== undefined && expires === undefined) return;
  into.grants.push({
    at: entry.at,
    on: readSecurables(fields.on),
    to: readPrincipalList(fields.to, 'to'),
    privileges: fields.privileges === undefined ? [] : readPrivileges(fields.privileges),
    assume: fields.assume?.text('assume'),
    expires,
    clusters: readClusters(fields.clusters),
  });
}

const dateOrTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/** `2026-12-31` (the end of that day, UTC) or `2026-12-31T18:00:00Z`, in ms. */
function readExpires(value: YamlValue | undefined): Placed<number> | undefined {
  if (value === undefined) return undefined;
  const text = value.scalarText('expires');
  if (text === undefined) return undefined;
  const time = dateOrTime.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN;
  const rolledOver = !text.startsWith(Number.isNaN(time) ? '' : isoDayOf(text));
  if (Number.isNaN(time) || rolledOver)
    return value.wrong(`expires must be a date (2026-12-31) or a time with zone (2026-12-31T18:00:00Z)`);
  return { value: text.length === 10 ? time + 24 * 60 * 60 * 1000 : time, at: value.at };
}

/** The day as the calendar has it: 2026-02-30 becomes 2026-03-02, which differs from what was written. */
function isoDayOf(text: string): string {
  return new Date(`${text.slice(0, 10)}T00:00:00Z`).toISOString().slice(0, 10);
}
