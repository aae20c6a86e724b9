import { beforeAll } from 'vitest';
import type { CatalogSnapshot, FunctionInfo } from '../../../../src/catalog/model.ts';
import type { GovernedPart, GovernedQuery, StatementContext } from '../../../../src/gateway/pg/governed.ts';
import { governStatement, initStatementParser } from '../../../../src/gateway/pg/statement.ts';
import type { Decision, Reason } from '../../../../src/kernel/decision.ts';
import type { GroupName, PrincipalName } from '../../../../src/kernel/principal.ts';
import type { Privilege } from '../../../../src/kernel/privilege.ts';
import {
  isWithin,
  parseSecurableName,
  type SecurableName,
  withAncestors,
} from '../../../../src/kernel/securable-name.ts';
import type {
  BoundRules,
  ColumnMaskRule,
  RowFilterRule,
  Snapshot,
  TableRules,
} from '../../../../src/policy/model.ts';
import { catalogOf, people, sampleTables, table } from '../../../policy/fixture.ts';

// The sample company's policy as a hand-made snapshot, so that the rewriter is tested by itself: analysts read shop
// under rules, ana may also write (the test's own addition), sam is exempt, etl loads orders.

export const { ana, sam, etl, nina } = people;

/** Like ana, with MODIFY on shop.public. */
export const writer = 'wanda@acme.test' as PrincipalName;
/** Like sam, with MODIFY on shop.public: exempt and writing. */
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

const rules: ReadonlyMap<string, TableRules> = new Map([
  [
    'shop.public.customers',
    { filters: [filter('shop.public.customers')], masks: [mask('email'), mask('phone')] },
  ],
  ['shop.public.orders', { filters: [filter('shop.public.orders')], masks: [] }],
]);

function rule(policy: string) {
  const expression = {} as RowFilterRule['expression'];
  return { policy, on: name('shop'), expression, bindings: new Map(), audience: { to: [], except: [] } };
}

function filter(_table: string): RowFilterRule {
  return { ...rule('own_region'), kind: 'row-filter' };
}

function mask(column: string): ColumnMaskRule {
  return { ...rule(`mask_${column}`), kind: 'column-mask', column, strength: 0 };
}

function gates(principal: PrincipalName, privilege: Privilege, on: SecurableName): boolean {
  const inShop = isWithin(on, name('shop'));
  if (principal === nina || !inShop) return false;
  const exempt = principal === etl;
  switch (privilege) {
    case 'USE CATALOG':
    case 'USE SCHEMA':
      return true;
    case 'SELECT':
      return !exempt || on === name('shop.public.orders');
    case 'MODIFY':
      return principal === writer || principal === steward || (exempt && on === name('shop.public.orders'));
    case 'EXECUTE':
      return on === name('shop.public.region_total');
    default:
      return false;
  }
}

function decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
  if (principal === nina)
    return { effect: 'deny', because: [{ kind: 'gate-failed', gate: 'USE CATALOG', on: name('shop') }] };
  const allowed = gates(principal, privilege, on);
  const to = 'analysts' as GroupName;
  const because: Reason = allowed
    ? { kind: 'grant', privilege, on: name('shop'), to, via: [], gate: privilege }
    : { kind: 'gate-failed', gate: privilege, on };
  return { effect: allowed ? 'allow' : 'deny', because: [because] };
}

function bound(principal: PrincipalName, on: SecurableName): BoundRules {
  const found = rules.get(on);
  const exempt = principal === sam || principal === steward || principal === etl;
  if (found === undefined || exempt)
    return { filters: [], masks: new Map(), exemptFromAll: found !== undefined, reasons: [] };
  return {
    filters: found.filters,
    masks: new Map(found.masks.map((one) => [one.column, one])),
    exemptFromAll: false,
    reasons: found.filters.map((one) => ({ kind: 'row-filter', policy: one.policy, on })),
  };
}

export const snapshot: Snapshot = {
  id: 'sample',
  files: [],
  catalog: catalog(),
  decide,
  tableRules: (on) => rules.get(on),
  boundRules: bound,
  binds: () => true,
  groupsOf: () => new Set(),
  attributes: () => new Map(),
  principals: new Set(Object.values(people)),
  groups: new Set(),
  policies: [],
  assumableRoles: () => [],
  owner: (on) => (withAncestors(on).includes(name('shop')) ? ('platform' as GroupName) : undefined),
  tags: () => new Map(),
  nextExpiry: Number.POSITIVE_INFINITY,
};

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
