import type { Effect, Phase, PlanOperation } from './plan-operation.ts';
import { type Grant, type GrantTarget, keyOf, targetKey } from './state.ts';

/** Grants as few operations: per grantee one for all objects of a kind with the same privileges, one per table's columns. */
export function grantOperations(
  grants: readonly Grant[],
  op: 'grant' | 'revoke',
  effect: Effect,
  phase: Phase,
): PlanOperation[] {
  const common = { effect, phase };
  return [...objectGroups(grants.filter((grant) => grant.on.kind !== 'column'))]
    .map((group): PlanOperation => ({ op, ...group, ...common }))
    .concat(
      [...columnGroups(grants)].map(
        (group): PlanOperation => ({
          op: op === 'grant' ? 'grant-columns' : 'revoke-columns',
          ...group,
          ...common,
        }),
      ),
    );
}

interface ObjectGroup {
  readonly grantee: string;
  readonly privileges: readonly string[];
  readonly targets: readonly GrantTarget[];
  readonly grantor?: string;
}

function objectGroups(grants: readonly Grant[]): Iterable<ObjectGroup> {
  const perTarget = new Map<
    string,
    { grantee: string; grantor: string | undefined; on: GrantTarget; privileges: string[] }
  >();
  for (const grant of grants) {
    const key = keyOf(grant.grantee, grant.grantor ?? '', targetKey(grant.on));
    const known = perTarget.get(key);
    if (known === undefined)
      perTarget.set(key, {
        grantee: grant.grantee,
        grantor: grant.grantor,
        on: grant.on,
        privileges: [grant.privilege],
      });
    else known.privileges.push(grant.privilege);
  }
  const groups = new Map<
    string,
    { grantee: string; grantor: string | undefined; privileges: readonly string[]; targets: GrantTarget[] }
  >();
  for (const { grantee, grantor, on, privileges } of perTarget.values()) {
    const sorted = [...privileges].sort();
    const key = keyOf(grantee, grantor ?? '', on.kind, ...sorted);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { grantee, grantor, privileges: sorted, targets: [on] });
    else known.targets.push(on);
  }
  return [...groups.values()].map(({ grantor, ...group }) => ({
    ...group,
    ...(grantor === undefined ? {} : { grantor }),
  }));
}

interface ColumnGroup {
  readonly grantee: string;
  readonly schema: string;
  readonly name: string;
  readonly columns: ReadonlyMap<string, readonly string[]>;
  readonly grantor?: string;
}

function columnGroups(grants: readonly Grant[]): Iterable<ColumnGroup> {
  const groups = new Map<
    string,
    {
      grantee: string;
      grantor: string | undefined;
      schema: string;
      name: string;
      columns: Map<string, string[]>;
    }
  >();
  for (const grant of grants) {
    if (grant.on.kind !== 'column') continue;
    const key = keyOf(grant.grantee, grant.grantor ?? '', grant.on.schema, grant.on.name);
    const group = groups.get(key) ?? {
      grantee: grant.grantee,
      grantor: grant.grantor,
      schema: grant.on.schema,
      name: grant.on.name,
      columns: new Map<string, string[]>(),
    };
    group.columns.set(grant.privilege, [...(group.columns.get(grant.privilege) ?? []), grant.on.column]);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ grantor, ...group }) => ({
    ...group,
    ...(grantor === undefined ? {} : { grantor }),
  }));
}
