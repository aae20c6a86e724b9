import type { DocumentsUnderway, PolicyEntry } from './document.ts';
import type { Findings } from './findings.ts';
import {
  readClusters,
  readComment,
  readPrincipalList,
  readSecurables,
  readTagConditions,
} from './parse-names.ts';
import type { YamlValue } from './yaml-reader.ts';

const policyKeys = {
  name: 'required',
  on: 'required',
  rowFilter: 'optional',
  columnMask: 'optional',
  match: 'optional',
  when: 'optional',
  to: 'required',
  except: 'optional',
  strength: 'optional',
  clusters: 'optional',
  comment: 'optional',
} as const;

/** `kind: policies`: row filters and column masks. */
export function readPolicies(root: YamlValue, into: DocumentsUnderway, findings: Findings): void {
  const fields = root.fields('policies', { kind: 'required', policies: 'optional', comment: 'optional' });
  if (fields === undefined) return;
  readComment(fields.comment);
  for (const entry of fields.policies?.list('policies') ?? []) {
    const policy = readPolicy(entry, findings);
    if (policy !== undefined) into.policies.push(policy);
  }
}

function readPolicy(entry: YamlValue, findings: Findings): PolicyEntry | undefined {
  const fields = entry.fields('a policy', policyKeys);
  if (fields === undefined) return undefined;
  readComment(fields.comment);
  const name = fields.name?.text('name');
  if ((fields.rowFilter === undefined) === (fields.columnMask === undefined))
    findings.error('missing-key', entry.at, 'a policy needs "rowFilter" or "columnMask", one of both');
  const expression = (fields.rowFilter ?? fields.columnMask)?.text('the expression');
  const kind = fields.rowFilter === undefined ? 'column-mask' : 'row-filter';
  if (kind === 'row-filter' && fields.strength !== undefined)
    findings.error(
      'unknown-key',
      fields.strength.at,
      'a row filter has no strength: all row filters must hold',
    );
  const rest = {
    on: readSecurables(fields.on),
    match: (fields.match?.entries('match') ?? []).map(({ key, value }) => ({
      name: key,
      conditions: readTagConditions(value, `match.${key.value}`),
    })),
    when: readTagConditions(fields.when, 'when'),
    to: readPrincipalList(fields.to, 'to'),
    except: readPrincipalList(fields.except, 'except'),
    strength: fields.strength?.integer('strength') ?? 0,
    clusters: readClusters(fields.clusters),
  };
  if (name === undefined || expression === undefined) return undefined;
  return { name, kind, expression, ...rest };
}
