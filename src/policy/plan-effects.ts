import { never } from '../kernel/never.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { depth } from './gates.ts';
import type { ColumnMaskRule, RowFilterRule, Snapshot } from './model.ts';

// What changes for one principal on one securable between two snapshots, as values.

export type Effect =
  | { readonly kind: 'privilege'; readonly privilege: Privilege; readonly gained: boolean }
  /** `table`: where the filter is; a view shows it on what it reads. */
  | { readonly kind: 'filter'; readonly table: SecurableName; readonly change: RuleChange<RowFilterRule> }
  | { readonly kind: 'mask'; readonly column: SecurableName; readonly change: RuleChange<ColumnMaskRule> }
  | { readonly kind: 'attribute'; readonly name: string; readonly value: string; readonly gained: boolean }
  | {
      readonly kind: 'membership';
      readonly group: string;
      readonly gained: boolean;
      /** Masks (by column) and row filters (by table) of unchanged text that hide nothing from a member. */
      readonly opens: readonly Opens[];
    }
  | { readonly kind: 'assume'; readonly role: string; readonly gained: boolean };

/** What is shown openly from now on. */
export interface Opens {
  readonly kind: 'column' | 'table';
  readonly on: SecurableName;
}

/** A rule that applies now, no longer, or says something else; `opens`: what hides nothing from this person. */
export type RuleChange<R> =
  | { readonly is: 'added' | 'removed'; readonly rule: R }
  | { readonly is: 'changed'; readonly was: R; readonly rule: R; readonly opens: boolean };

/** More access, less, or something of which neither is known. */
export type Leaning = 'gain' | 'loss' | 'unknown';

export function leaningOf(effect: Effect): Leaning {
  switch (effect.kind) {
    case 'privilege':
    case 'attribute':
    case 'assume':
      return effect.gained ? 'gain' : 'loss';
    case 'filter':
    case 'mask':
      return ({ added: 'loss', removed: 'gain', changed: 'unknown' } as const)[effect.change.is];
    case 'membership':
      // A rule asks for the group; which way it answers is not looked into.
      return 'unknown';
    default:
      return never(effect);
  }
}

/** What goes without its mask or row filter, or with one that hides nothing. */
export function opened(effect: Effect): readonly Opens[] {
  if (effect.kind === 'membership') return effect.opens;
  if (effect.kind !== 'mask' && effect.kind !== 'filter') return [];
  const { change } = effect;
  if (change.is === 'added' || (change.is === 'changed' && !change.opens)) return [];
  return [
    effect.kind === 'mask' ? { kind: 'column', on: effect.column } : { kind: 'table', on: effect.table },
  ];
}

/** Whether the principal may see or do less than before, or something that is not known to be more. */
export function shrinks(effect: Effect): boolean {
  return leaningOf(effect) !== 'gain';
}

/** In words, as they follow "gains", "loses" and "changes". `on`: what is said to change. */
export function describeEffect(effect: Effect, on: SecurableName): string {
  switch (effect.kind) {
    case 'privilege':
      return effect.privilege;
    case 'filter':
      return describeFilter(effect.change);
    case 'mask':
      return describeMask(effect.change, effect.column, on);
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

function describeFilter(change: RuleChange<RowFilterRule>): string {
  const { policy } = change.rule;
  if (change.is === 'changed') return `sees other rows: ${wasAndIs(change.was, change.rule)}`;
  return change.is === 'added' ? `rows: now filtered by ${policy}` : `rows: no longer filtered by ${policy}`;
}

/** A column of the relation itself goes by its short name; one that a view reads is named whole. */
function describeMask(change: RuleChange<ColumnMaskRule>, column: SecurableName, on: SecurableName): string {
  const name = column.startsWith(`${on}.`) ? column.slice(on.length + 1) : column;
  const { policy } = change.rule;
  if (change.is === 'changed') return `sees other values of ${name}: ${wasAndIs(change.was, change.rule)}`;
  return change.is === 'added'
    ? `${name} unmasked (${policy} now applies)`
    : `${name} unmasked (${policy} no longer applies)`;
}

function wasAndIs(was: RowFilterRule | ColumnMaskRule, is: RowFilterRule | ColumnMaskRule): string {
  if (was.policy === is.policy && was.text === is.text) return `${is.policy} reads other columns`;
  const now = was.policy === is.policy ? '' : `${is.policy} `;
  return `${was.policy} was ${quoted(was)}, ${now}is ${quoted(is)}`;
}

/** On one line, however it is written in the file. */
function quoted(rule: RowFilterRule | ColumnMaskRule): string {
  return `"${(rule.text ?? '').trim().replaceAll(/\s*\n\s*/g, ' ')}"`;
}

const onTable: readonly Privilege[] = ['SELECT', 'MODIFY', 'MANAGE', 'APPLY TAG', 'REFRESH'];
const onSchema: readonly Privilege[] = ['USE SCHEMA', 'CREATE TABLE', 'CREATE FUNCTION', 'MANAGE'];
const onCatalog: readonly Privilege[] = ['USE CATALOG', 'CREATE SCHEMA', 'MANAGE'];
const onFunction: readonly Privilege[] = ['EXECUTE', 'MANAGE'];

/** Securables that are decided alike in both snapshots, so that one stands for all. */
export interface Alike {
  readonly privileges: readonly Privilege[];
  readonly first: SecurableName;
  readonly all: readonly SecurableName[];
  /** Whether they are there at all, before and after. */
  readonly existed: boolean;
  readonly exists: boolean;
  /** Those whose rows are filtered or masked for anybody. */
  readonly ruled: readonly SecurableName[];
  /** Those of them whose rules differ between the snapshots; on the others only a change of groups has an effect. */
  readonly changed: readonly SecurableName[];
}

/** Every securable of either snapshot, those that are decided alike together. */
export function compared(from: Snapshot | undefined, to: Snapshot): readonly Alike[] {
  const groups = new Map<string, { readonly alike: Alike; readonly all: SecurableName[] }>();
  for (const [on, privileges] of securables(from, to)) {
    const [existed, there] = [from, to].map((one) => one !== undefined && exists(one, on));
    const sides = [existed ? from?.anchorOf(on) : '', there ? to.anchorOf(on) : '', depth(on)];
    const key = [...sides, privileges.length].join(' ');
    const known = groups.get(key);
    if (known !== undefined) known.all.push(on);
    else {
      const all = [on];
      const flags = { existed: existed === true, exists: there === true };
      groups.set(key, { alike: { privileges, first: on, all, ...flags, ruled: [], changed: [] }, all });
    }
  }
  return [...groups.values()].map(({ alike, all }) => {
    const ruled = all.filter((on) => [from, to].some((one) => one !== undefined && isRuled(one, on)));
    const changed = ruled.filter((on) => from === undefined || !sameRules(from, to, on));
    return { ...alike, ruled, changed };
  });
}

function securables(
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

/** A view is looked into whenever it reads anything. */
function isRuled(snapshot: Snapshot, on: SecurableName): boolean {
  return snapshot.tableRules(on) !== undefined || (snapshot.catalog.tables.get(on)?.reads ?? []).length > 0;
}

/** Whether everything that a relation shows is under the same rules, for the same audiences. */
function sameRules(from: Snapshot, to: Snapshot, on: SecurableName): boolean {
  const [before, after] = [[...beneath(from, on)], [...beneath(to, on)]];
  return (
    before.length === after.length &&
    before.every((table, i) => table === after[i] && sameOwnRules(from, to, table))
  );
}

function sameOwnRules(from: Snapshot, to: Snapshot, table: SecurableName): boolean {
  const [before, after] = [from, to].map((snapshot) => {
    const rules = snapshot.tableRules(table);
    return rules === undefined ? [] : [...rules.filters, ...rules.masks];
  });
  return before?.length === after?.length && before?.every((rule, i) => sameRule(rule, after?.[i])) === true;
}

function sameRule(a: RowFilterRule | ColumnMaskRule, b: RowFilterRule | ColumnMaskRule | undefined): boolean {
  if (b === undefined || a.kind !== b.kind || a.policy !== b.policy || a.on !== b.on) return false;
  if (a.kind === 'column-mask' && b.kind === 'column-mask')
    if (a.column !== b.column || a.strength !== b.strength) return false;
  const sameNames = (one: readonly string[], other: readonly string[]) =>
    one.length === other.length && one.every((name, i) => name === other[i]);
  return (
    says(a, b) && sameNames(a.audience.to, b.audience.to) && sameNames(a.audience.except, b.audience.except)
  );
}

/** What one principal may, before and after. */
export interface AskedBoth {
  readonly before: (privilege: Privilege, on: Alike) => boolean;
  readonly after: (privilege: Privilege, on: Alike) => boolean;
}

export function askingBoth(from: Snapshot | undefined, to: Snapshot, principal: PrincipalName): AskedBoth {
  const before = from?.asking(principal);
  const after = to.asking(principal);
  return {
    before: (privilege, { existed, first }) => existed && before?.(privilege, first) === true,
    after: (privilege, { exists: there, first }) => there && after(privilege, first),
  };
}

/** Privileges gained and lost on securables that are decided alike. */
export function privilegeEffects({ before, after }: AskedBoth, alike: Alike): readonly Effect[] {
  return alike.privileges.flatMap((privilege): readonly Effect[] => {
    const gained = after(privilege, alike);
    return before(privilege, alike) === gained ? [] : [{ kind: 'privilege', privilege, gained }];
  });
}

function exists({ catalog }: Snapshot, on: SecurableName): boolean {
  const at = depth(on);
  if (at === 1) return catalog.catalogs.has(on);
  if (at === 2) return catalog.schemas.has(on);
  return catalog.tables.has(on) || catalog.functions.has(on);
}

/** Whether two rules say the same of the same columns. */
export function says(a: RowFilterRule | ColumnMaskRule, b: RowFilterRule | ColumnMaskRule): boolean {
  if (a === b) return true;
  const alike =
    a.bindings.size === b.bindings.size &&
    [...a.bindings].every(([name, column]) => b.bindings.get(name) === column);
  return alike && (a.text === b.text || JSON.stringify(a.expression) === JSON.stringify(b.expression));
}

/** A relation and everything that it reads, through any chain. */
export function beneath({ catalog }: Snapshot, on: SecurableName): ReadonlySet<SecurableName> {
  const seen = new Set<SecurableName>([on]);
  for (const name of seen) for (const read of catalog.tables.get(name)?.reads ?? []) seen.add(read);
  return seen;
}
