import { never } from '../kernel/never.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import { child, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import type { Expression } from './expression/model.ts';
import type { ColumnMaskRule, RowFilterRule, Snapshot } from './model.ts';

// What changes for one principal on one securable between two snapshots, as values.

export type Effect =
  | { readonly kind: 'privilege'; readonly privilege: Privilege; readonly gained: boolean }
  /** A filter that applies now (fewer rows), no longer (more rows), or says something else. */
  | { readonly kind: 'filter'; readonly policy: string; readonly change: 'added' | 'removed' | 'changed' }
  | {
      readonly kind: 'mask';
      readonly column: SecurableName;
      readonly policy: string;
      readonly change: 'added' | 'removed' | 'changed';
    }
  | { readonly kind: 'attribute'; readonly name: string; readonly value: string; readonly gained: boolean }
  | { readonly kind: 'membership'; readonly group: string; readonly gained: boolean }
  | { readonly kind: 'assume'; readonly role: string; readonly gained: boolean };

/** Whether the principal may see or do less than before, or something that is not known to be more. */
export function shrinks(effect: Effect): boolean {
  switch (effect.kind) {
    case 'privilege':
    case 'attribute':
    case 'assume':
      return !effect.gained;
    case 'filter':
    case 'mask':
      return effect.change !== 'removed';
    case 'membership':
      // A rule asks for the group; which way it answers is not looked into.
      return true;
    default:
      return never(effect);
  }
}

export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'privilege':
      return effect.privilege;
    case 'filter':
      return { added: 'filtered by', removed: 'no longer filtered by', changed: 'filtered otherwise by' }[
        effect.change
      ].concat(` ${effect.policy}`);
    case 'mask': {
      const words = { added: 'masked by', removed: 'no longer masked by', changed: 'masked otherwise by' };
      return `${effect.column} ${words[effect.change]} ${effect.policy}`;
    }
    case 'attribute':
      return `attribute ${effect.name} ${JSON.stringify(effect.value)}`;
    case 'membership':
      return `rules that ask for group ${effect.group} answer otherwise`;
    case 'assume':
      return `may act as ${effect.role}`;
    default:
      return never(effect);
  }
}

const onTable: readonly Privilege[] = ['SELECT', 'MODIFY', 'MANAGE', 'APPLY TAG', 'REFRESH'];
const onSchema: readonly Privilege[] = ['USE SCHEMA', 'CREATE TABLE', 'CREATE FUNCTION', 'MANAGE'];
const onCatalog: readonly Privilege[] = ['USE CATALOG', 'CREATE SCHEMA', 'MANAGE'];
const onFunction: readonly Privilege[] = ['EXECUTE', 'MANAGE'];

/** Every securable of either snapshot with the privileges that are compared on it. */
export function compared(
  from: Snapshot | undefined,
  to: Snapshot,
): ReadonlyMap<SecurableName, readonly Privilege[]> {
  const found = new Map<SecurableName, readonly Privilege[]>();
  for (const snapshot of [from, to]) {
    if (snapshot === undefined) continue;
    for (const name of snapshot.catalog.catalogs.keys()) found.set(name, onCatalog);
    for (const name of snapshot.catalog.schemas) found.set(name, onSchema);
    for (const name of snapshot.catalog.tables.keys()) found.set(name, onTable);
    for (const name of snapshot.catalog.functions.keys()) found.set(name, onFunction);
  }
  return found;
}

/** Privileges, filters and masks; `principal` stands for its class. */
export function effectsOn(
  from: Snapshot | undefined,
  to: Snapshot,
  principal: PrincipalName,
  on: SecurableName,
  privileges: readonly Privilege[],
): readonly Effect[] {
  const effects: Effect[] = [];
  for (const privilege of privileges) {
    const before = from !== undefined && may(from, principal, privilege, on);
    const after = may(to, principal, privilege, on);
    if (before !== after) effects.push({ kind: 'privilege', privilege, gained: after });
    if (privilege === 'SELECT' && before && after && from !== undefined)
      effects.push(...ruleEffects(from, to, principal, on));
  }
  return effects;
}

function may(snapshot: Snapshot, principal: PrincipalName, privilege: Privilege, on: SecurableName): boolean {
  return exists(snapshot, on) && snapshot.decide(principal, privilege, on).effect === 'allow';
}

function exists({ catalog }: Snapshot, on: SecurableName): boolean {
  const depth = nameParts(on).length;
  if (depth === 1) return catalog.catalogs.has(on);
  if (depth === 2) return catalog.schemas.has(on);
  return catalog.tables.has(on) || catalog.functions.has(on);
}

interface Shown {
  readonly filters: ReadonlyMap<string, RowFilterRule>;
  readonly masks: ReadonlyMap<SecurableName, ColumnMaskRule>;
}

function ruleEffects(
  from: Snapshot,
  to: Snapshot,
  principal: PrincipalName,
  on: SecurableName,
): readonly Effect[] {
  const before = shown(from, principal, on);
  const after = shown(to, principal, on);
  const effects: Effect[] = [];
  for (const [key, change, rule] of changes(before.filters, after.filters))
    effects.push({ kind: 'filter', policy: rule?.policy ?? key, change });
  for (const [column, change, rule] of changes(before.masks, after.masks))
    effects.push({ kind: 'mask', column, policy: rule.policy, change });
  for (const group of askedGroups([...after.filters.values(), ...after.masks.values()])) {
    const was = [...from.groupsOf(principal)].some((name) => name === group);
    const is = [...to.groupsOf(principal)].some((name) => name === group);
    if (was !== is) effects.push({ kind: 'membership', group, gained: is });
  }
  return effects;
}

function* changes<K, R extends RowFilterRule | ColumnMaskRule>(
  before: ReadonlyMap<K, R>,
  after: ReadonlyMap<K, R>,
): Generator<[K, 'added' | 'removed' | 'changed', R]> {
  for (const [key, rule] of after) {
    const was = before.get(key);
    if (was === undefined) yield [key, 'added', rule];
    else if (!says(was, rule)) yield [key, 'changed', rule];
  }
  for (const [key, rule] of before) if (!after.has(key)) yield [key, 'removed', rule];
}

function says(a: RowFilterRule | ColumnMaskRule, b: RowFilterRule | ColumnMaskRule): boolean {
  if (a.text !== b.text && JSON.stringify(a.expression) !== JSON.stringify(b.expression)) return false;
  return JSON.stringify([a.expression, [...a.bindings]]) === JSON.stringify([b.expression, [...b.bindings]]);
}

/** The rules that bind on a relation and on everything that it reads, keyed by table, so that a view shows its tables'. */
function shown(snapshot: Snapshot, principal: PrincipalName, on: SecurableName): Shown {
  const filters = new Map<string, RowFilterRule>();
  const masks = new Map<SecurableName, ColumnMaskRule>();
  const seen = new Set<SecurableName>();
  const open = [on];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const bound = snapshot.boundRules(principal, next);
    for (const rule of bound.filters) filters.set(`${next} ${rule.policy}`, rule);
    for (const [column, rule] of bound.masks) masks.set(child(next, column), rule);
    open.push(...(snapshot.catalog.tables.get(next)?.reads ?? []));
  }
  return { filters, masks };
}

function askedGroups(rules: readonly (RowFilterRule | ColumnMaskRule)[]): ReadonlySet<string> {
  const groups = new Set<string>();
  const note = (_key: string, value: unknown): unknown => {
    const part = value as Partial<Expression> | null;
    if (typeof part === 'object' && part?.kind === 'is-member' && 'group' in part && part.group !== undefined)
      groups.add(part.group);
    return value;
  };
  for (const rule of rules) JSON.stringify(rule.expression, note);
  return groups;
}
