import type { CatalogKind } from '../../catalog/model.ts';
import type { Privilege } from '../../kernel/privilege.ts';
import { formatSecurableName, nameParts, type SecurableName } from '../../kernel/securable-name.ts';
import type { GrantEntry, Placed } from '../document.ts';
import type { Findings } from '../findings.ts';
import { type AdviceInput, isLive } from './advice.ts';

// Where an engine means something else than the model: privileges that nothing enforces, or that give more.

const create =
  "Postgres's CREATE on a schema covers tables, views, functions and types alike, so it would give more than was granted";
const none = 'a Postgres database holds none';
const readOnly = 'its tables are only read';

/** Privileges that nobody gets by a grant, by the kind of the catalog, and why. */
const notEnforced: Record<CatalogKind, Partial<Record<Privilege, string>>> = {
  POSTGRES: {
    'CREATE SCHEMA': "Postgres's CREATE on a database also covers publications and trusted extensions",
    'CREATE TABLE': create,
    'CREATE FUNCTION': create,
    'CREATE MATERIALIZED VIEW': create,
    REFRESH: 'Postgres leaves it to the owner, or to MAINTAIN, which also covers LOCK, REINDEX and VACUUM',
    'CREATE VOLUME': none,
    'READ VOLUME': none,
    'WRITE VOLUME': none,
    'CREATE MODEL': none,
  },
  LAKE: { MODIFY: readOnly },
  SYSTEM: { MODIFY: readOnly },
};

export function checkEnforced({ documents, now, catalog }: AdviceInput, findings: Findings): void {
  if (catalog === undefined) return;
  const kindOf = (on: SecurableName) =>
    catalog.catalogs.get(formatSecurableName(nameParts(on).slice(0, 1)))?.kind;
  for (const grant of documents.grants) {
    if (!isLive(grant, now)) continue;
    for (const privilege of grant.privileges)
      for (const { value: on } of grant.on) checkOne(privilege, on, kindOf(on), findings);
    widening(grant, (on) => kindOf(on) === 'POSTGRES', findings);
  }
}

function checkOne(
  privilege: Placed<Privilege>,
  on: SecurableName,
  kind: CatalogKind | undefined,
  findings: Findings,
): void {
  const why = kind === undefined ? undefined : notEnforced[kind][privilege.value];
  if (why === undefined) return;
  const message = `${privilege.value} on ${on} gives nobody anything in a ${kind} catalog: ${why}`;
  findings.warning('not-enforced', privilege.at, message);
}

/** Views are never written through Writ; `modify-on-view` says so. */
function widening(grant: GrantEntry, isPostgres: (on: SecurableName) => boolean, findings: Findings): void {
  for (const { value, at } of grant.privileges) {
    if (value !== 'MODIFY' && value !== 'ALL PRIVILEGES') continue;
    const on = grant.on.map((one) => one.value).filter(isPostgres);
    if (on.length === 0) continue;
    const who = grant.to.map((to) => to.value).join(', ');
    const message = `${value} lets ${who} lock tables of ${on.join(', ')} (LOCK TABLE … ACCESS EXCLUSIVE), because Postgres permits that with DELETE`;
    findings.note('widening', at, message);
  }
}

/** `NAMEDATALEN` - 1. */
const maximumBytes = 63;

/** Names that Postgres's parser reads as identifiers; it cuts what is longer. */
export function checkNameLengths({ documents }: AdviceInput, findings: Findings): void {
  const expect = (what: string, { value, at }: Placed<string>, then: string) => {
    const bytes = Buffer.byteLength(value);
    if (bytes <= maximumBytes) return;
    const message = `${what} ${value} has ${bytes} bytes: Postgres cuts identifiers at ${maximumBytes}, ${then}`;
    findings.warning('name-too-long', at, message);
  };
  for (const policy of documents.policies)
    for (const { name } of policy.match) expect('the bound name', name, 'so that no expression can use it');
  for (const { assume } of documents.grants)
    if (assume !== undefined) expect('the assumed role', assume, 'so that no role has this name');
  const securables = [
    ...documents.owners.flatMap(({ on }) => on),
    ...documents.grants.flatMap(({ on }) => on),
    ...documents.assign.flatMap(({ on }) => on),
    ...documents.policies.flatMap(({ on }) => on),
  ];
  for (const { value, at } of securables) {
    // Long names are rare, parsing a million is not free.
    if (value.length <= maximumBytes / 3) continue;
    for (const part of nameParts(value))
      expect('the part', { value: part, at }, 'so that no statement can name it');
  }
}
