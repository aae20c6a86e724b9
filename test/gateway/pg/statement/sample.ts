import { readFileSync } from 'node:fs';
import { beforeAll } from 'vitest';
import type { CatalogSnapshot, FunctionInfo } from '../../../../src/catalog/model.ts';
import type { GovernedPart, GovernedQuery, StatementContext } from '../../../../src/gateway/pg/governed.ts';
import { governStatement, initStatementParser } from '../../../../src/gateway/pg/statement.ts';
import type { PrincipalName } from '../../../../src/kernel/principal.ts';
import { parseSecurableName, type SecurableName } from '../../../../src/kernel/securable-name.ts';
import { compileFiles } from '../../../../src/policy/compile.ts';
import type { Snapshot } from '../../../../src/policy/model.ts';
import { catalogOf, people, sampleTables, table } from '../../../policy/fixture.ts';

// The sample company's policy, with two people who may write: one whom the rules bind, one whom they do not.

export const { ana, sam, etl, nina } = people;

/** Like nobody in the sample: bound by every rule, without a region, with MODIFY on shop. */
export const writer = 'wanda@acme.test' as PrincipalName;
/** Like sam, with MODIFY on shop: exempt and writing. */
export const steward = 'stefan@acme.test' as PrincipalName;

const name = parseSecurableName;

function functionInfo(full: string): [SecurableName, readonly FunctionInfo[]] {
  const info: FunctionInfo = {
    name: name(full),
    signature: 'integer',
    kind: 'FUNCTION',
    securityDefiner: true,
    engineOwner: 'shop_app',
  };
  return [info.name, [info]];
}

/** The fixture's catalog with more names: odd spellings, a second schema, functions. */
export function catalog(): CatalogSnapshot {
  const base = catalogOf(
    { shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' },
    [
      ...sampleTables(),
      table('shop.public."Mixed Case"', { id: 'bigint', Näme: 'text' }),
      table('shop.app.raw', { id: 'bigint', x: 'text' }),
      table('shop.app.orders', { id: 'bigint', y: 'text' }),
      table('shop.public.unknown_view', { id: 'bigint' }, 'VIEW'),
    ],
    { 'shop.public.events_2026_01': 'shop.public.events' },
  );
  return {
    ...base,
    functions: new Map([
      functionInfo('shop.public.region_total'),
      functionInfo('shop.public.customer_email'),
      functionInfo('shop.public.lower'),
    ]),
  };
}

/** The sample's own files, and grants that it does not have: two people who write, and one function. */
const more = `
kind: grants
grants:
  - { on: shop, to: [wanda@acme.test, stefan@acme.test], privileges: [USE CATALOG, USE SCHEMA, SELECT, MODIFY] }
  - { on: shop.public.region_total, to: [analysts, wanda@acme.test], privileges: [EXECUTE] }
`;

async function compileSample(): Promise<Snapshot> {
  const path = new URL('../../../../policies/sample.yaml', import.meta.url);
  const sample = readFileSync(path, 'utf8').replace(
    'stewards: { members: [sam@acme.test] }',
    'stewards: { members: [sam@acme.test, stefan@acme.test] }',
  );
  const files = [
    { path: 'sample.yaml', text: sample },
    { path: 'more.yaml', text: more },
  ];
  const compiled = await compileFiles(files, catalog(), [ana, sam, nina, writer, steward], 0);
  if (compiled.snapshot === undefined) throw new Error(JSON.stringify(compiled.findings));
  return compiled.snapshot;
}

export const snapshot = await compileSample();

export function contextOf(principal: PrincipalName, more: Partial<StatementContext> = {}): StatementContext {
  return {
    snapshot,
    principal,
    catalog: name('shop'),
    searchPath: ['public'],
    prepared: () => undefined,
    ...more,
  };
}

export function govern(
  text: string,
  principal: PrincipalName = ana,
  more: Partial<StatementContext> = {},
): GovernedQuery {
  return governStatement(text, contextOf(principal, more));
}

/** The only statement's part. */
export function partOf(query: GovernedQuery): GovernedPart {
  const [part] = query.parts;
  if (part === undefined || query.parts.length !== 1) throw new Error(`${query.parts.length} parts`);
  return part;
}

/** What is sent, or `SQLSTATE message · detail`. */
export function outcome(query: GovernedQuery): string {
  const { refusal } = query;
  return refusal === undefined
    ? query.text
    : `${refusal.sqlstate} ${refusal.message} · ${refusal.detail ?? ''}`;
}

export function loadParser(): void {
  beforeAll(initStatementParser);
}
