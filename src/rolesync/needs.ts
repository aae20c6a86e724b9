import type { TableInfo } from '../catalog/model.ts';
import { type Reach, reachOf, type Target } from '../fleet/reach.ts';
import type { Door } from '../fleet/role-names.ts';
import type { Shape } from '../fleet/shadow-names.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { formatSecurableName, isWithin, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { keyOf } from './state.ts';

// Who needs which relation through which door: reachOf of every principal and table, turned around. Pure.

export const doors: readonly Door[] = ['gateway', 'direct'];

export interface Need {
  readonly table: TableInfo;
  readonly door: Door;
  readonly target: Exclude<Target, undefined>;
  readonly readers: Set<PrincipalName>;
  readonly inserters: Set<PrincipalName>;
  /** UPDATE, DELETE. */
  readonly writers: Set<PrincipalName>;
  /** Readers of copied views that stand on this one. */
  readonly indirect: Set<PrincipalName>;
}

export type Needs = Map<string, Need>;

export const needKey = (table: SecurableName, door: Door, target: string): string =>
  keyOf(table, door, target);

export function needOf(needs: Needs, table: TableInfo, door: Door, target: 'base' | Shape): Need {
  const key = needKey(table.name, door, target);
  const known = needs.get(key);
  if (known !== undefined) return known;
  const need: Need = {
    table,
    door,
    target,
    readers: new Set(),
    inserters: new Set(),
    writers: new Set(),
    indirect: new Set(),
  };
  needs.set(key, need);
  return need;
}

/** Principals that pass USE CATALOG: nobody else gets a role. */
export function admitted(snapshot: Snapshot, catalog: SecurableName): readonly PrincipalName[] {
  return [...snapshot.principals]
    .filter((principal) => snapshot.decide(principal, 'USE CATALOG', catalog).effect === 'allow')
    .sort();
}

export function collectNeeds(
  snapshot: Snapshot,
  catalog: SecurableName,
  principals: readonly PrincipalName[],
): Needs {
  const needs: Needs = new Map();
  const tables = tablesOf(snapshot, catalog);
  for (const principal of principals) {
    for (const table of tables)
      note(needs, table, 'gateway', principal, reachOf(snapshot, principal, table.name, 'gateway'));
    const direct = tables.map((table) => ({
      table,
      reach: reachOf(snapshot, principal, table.name, 'direct'),
    }));
    const bound = direct.filter(({ table, reach }) => reach.read === 'governed' && isRuled(snapshot, table));
    const mixed = new Set(bound.map(({ table }) => schemaOf(table)));
    for (const { table, reach } of direct) {
      note(needs, table, 'direct', principal, reach);
      // A name without a schema finds the governed view where somebody is bound elsewhere in the schema
      // (fleet/search-path.ts): it must then answer for this person too, as exempt.
      if (reach.read === 'clear' && mixed.has(schemaOf(table)))
        note(needs, table, 'direct', principal, asGoverned(reach));
    }
  }
  return needs;
}

export function tablesOf(snapshot: Snapshot, catalog: SecurableName): readonly TableInfo[] {
  return [...snapshot.catalog.tables.values()]
    .filter((table) => isWithin(table.name, catalog))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function tableAt(
  snapshot: Snapshot,
  catalog: SecurableName,
  schema: string,
  name: string,
): TableInfo | undefined {
  return snapshot.catalog.tables.get(formatSecurableName([...nameParts(catalog), schema, name]));
}

export const schemaOf = (table: TableInfo): string => nameParts(table.name)[1] ?? '';

export const isView = (table: TableInfo): boolean =>
  table.kind === 'VIEW' || table.kind === 'MATERIALIZED_VIEW';

/** Rules on it, or on something that it reads. Unknown reads count as ruled (reachOf offers such views to nobody). */
export function isRuled(
  snapshot: Snapshot,
  table: TableInfo,
  seen: ReadonlySet<string> = new Set(),
): boolean {
  if (!isView(table)) return snapshot.tableRules(table.name) !== undefined;
  if (table.reads === undefined || seen.has(table.name)) return true;
  return table.reads.some((name) => {
    const read = snapshot.catalog.tables.get(name);
    return read === undefined || isRuled(snapshot, read, new Set([...seen, table.name]));
  });
}

function asGoverned(reach: Reach): Reach {
  const shape = (target: Target): Target => (target === 'clear' ? 'governed' : target);
  return { read: shape(reach.read), insert: shape(reach.insert), write: shape(reach.write) };
}

function note(needs: Needs, table: TableInfo, door: Door, principal: PrincipalName, reach: Reach): void {
  if (reach.read !== undefined) needOf(needs, table, door, reach.read).readers.add(principal);
  if (reach.insert !== undefined) needOf(needs, table, door, reach.insert).inserters.add(principal);
  if (reach.write !== undefined) needOf(needs, table, door, reach.write).writers.add(principal);
}
