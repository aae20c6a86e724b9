import { createHash } from 'node:crypto';
import type { CatalogInfo } from '../catalog/model.ts';
import { compiledRole, type Door, managedRole, ownerRole, principalRole } from '../fleet/role-names.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { isWithin, lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { type BuiltView, buildViews } from './desired-views.ts';
import { kitFunctions } from './kit.ts';
import { admitted, collectNeeds, doors, type Need, tableAt } from './needs.ts';
import { policyData, tokensIn } from './policy-data.ts';
import { fingerprint, relationRef } from './shadow-view.ts';
import {
  type DatabaseState,
  type Grant,
  type GrantTarget,
  grantKey,
  keyOf,
  type ManagedRole,
  type Membership,
  membershipKey,
  type RelationRef,
  type ViewFact,
  viewKey,
} from './state.ts';

// What policy wants in one database: Snapshot → DatabaseState. Pure. Grants go to few compiled roles; memberships say
// who is in them. Whoever does not pass USE CATALOG has no role at all.

export interface DesiredOptions {
  /** Event triggers need one. */
  readonly superuser: boolean;
  /** Of the key of token(); undefined: the instance has none, and a token is NULL. */
  readonly tokenKey?: string | undefined;
}

export interface Desired {
  readonly state: DatabaseState;
  /** Sentences: what is not offered or not enforced natively, and why. */
  readonly notEnforced: readonly string[];
}

export function desiredState(snapshot: Snapshot, catalog: CatalogInfo, options: DesiredOptions): Desired {
  const principals = admitted(snapshot, catalog.name);
  const needs = collectNeeds(snapshot, catalog.name, principals);
  const built = buildViews(snapshot, catalog.name, needs);
  const build = new StateBuilder(catalog, principals);
  // Roles of principals belong to the cluster: another database of it may still admit them.
  for (const principal of principals.length === 0 ? [] : admittedElsewhere(snapshot, catalog)) {
    for (const door of doors) build.principal(principal, door);
  }
  for (const view of built.views) build.view(view, snapshot);
  build.compiledRoles([...needs.values()], built.views, snapshot);
  const usesViews = built.views.length > 0 || principals.length > 0;
  const state: DatabaseState = {
    roles: build.roles,
    memberships: build.memberships,
    schemas: build.schemas,
    functions: usesViews ? kitFunctions() : new Map(),
    views: build.views,
    grants: build.grants,
    data: policyData(snapshot, catalog.name, principals, built.exemptions),
    tokenKey: {
      table: usesViews,
      fingerprint: usesViews && tokensIn(snapshot, catalog.name) ? options.tokenKey : undefined,
    },
    eventTriggers: usesViews && options.superuser ? 'present' : 'absent',
    paused: new Set(),
  };
  return { state, notEnforced: [...built.notOffered, ...caveats(built.views, [...needs.values()], options)] };
}

function admittedElsewhere(snapshot: Snapshot, catalog: CatalogInfo): readonly PrincipalName[] {
  const others = [...snapshot.catalog.catalogs.values()].filter(
    (other) => other.kind === 'POSTGRES' && other.cluster === catalog.cluster && other.name !== catalog.name,
  );
  return others.flatMap((other) => admitted(snapshot, other.name));
}

class StateBuilder {
  readonly roles = new Map<string, ManagedRole>();
  readonly memberships = new Map<string, Membership>();
  readonly schemas = new Set<string>();
  readonly views = new Map<string, ViewFact>();
  readonly grants = new Map<string, Grant>();
  private readonly catalog: CatalogInfo;
  private readonly groups = new Map<string, Group>();

  constructor(catalog: CatalogInfo, principals: readonly PrincipalName[]) {
    this.catalog = catalog;
    if (principals.length === 0) return;
    this.role(ownerRole, 'writ: owns the shadow views');
    this.role(managedRole, 'writ: every role of a principal is in it');
    this.schemas.add('writ');
    this.grant({ kind: 'schema', schema: 'writ' }, managedRole, 'USAGE');
    for (const [name, signature] of callable) {
      this.grant({ kind: 'function', schema: 'writ', name, signature }, managedRole, 'EXECUTE');
    }
    // Through one role, so that a thousand principals do not make a thousand entries in the database's ACL.
    const connect = compiledRole(`${this.catalog.name} connect`, 'connect');
    this.role(connect, `writ: compiled ${this.catalog.name} connect`);
    this.grant({ kind: 'database', name: this.catalog.database ?? '' }, connect, 'CONNECT');
    for (const principal of principals) {
      for (const door of doors) {
        this.principal(principal, door);
        this.member(connect, principalRole(principal, door));
      }
    }
  }

  principal(principal: PrincipalName, door: Door): void {
    const role = principalRole(principal, door);
    this.role(role, `writ: ${principal} (${door})`);
    this.member(managedRole, role);
  }

  private role(name: ManagedRole['name'], comment: string): void {
    this.roles.set(name, { name, comment, attributes: [] });
  }

  private member(role: string, member: string): void {
    const membership = { role, member, inherit: true, set: false, admin: false };
    this.memberships.set(membershipKey(membership), membership);
  }

  private grant(on: GrantTarget, grantee: string, privilege: string): void {
    const grant = { on, grantee, privilege };
    this.grants.set(grantKey(grant), grant);
  }

  /** The view, and what its owner needs on the tables beneath: columns, never the whole table; DELETE where it must. */
  view({ view, need }: BuiltView, snapshot: Snapshot): void {
    this.schemas.add(view.schema);
    this.views.set(viewKey(view), {
      schema: view.schema,
      name: view.name,
      fingerprint: fingerprint(view),
      view,
      ordinal: this.views.size,
      columns: view.columns.map((column) => ({ name: column.name, type: column.type })),
      dependsOn: view.dependsOn,
      state: 'made',
    });
    this.ownerReads(
      view.base,
      view.body === null || view.refs.length + view.dependsOn.length === 0
        ? view.columns.map((column) => column.name)
        : [],
    );
    for (const ref of view.refs) this.ownerReads(ref, columnsOf(snapshot, this.catalog.name, ref));
    if (view.body !== null) return;
    const generated = new Set(
      need.table.columns.filter((column) => column.generated).map((column) => column.name),
    );
    const writable = view.columns.filter(
      (column) => column.expression === null && !generated.has(column.name),
    );
    for (const column of writable) {
      const on: GrantTarget = {
        kind: 'column',
        schema: view.base.schema,
        name: view.base.name,
        column: column.name,
      };
      if (need.inserters.size > 0) this.grant(on, ownerRole, 'INSERT');
      if (need.writers.size > 0) this.grant(on, ownerRole, 'UPDATE');
    }
    if (need.writers.size > 0) {
      this.grant({ kind: 'relation', schema: view.base.schema, name: view.base.name }, ownerRole, 'DELETE');
    }
  }

  private ownerReads(base: RelationRef, columns: readonly string[]): void {
    this.grant({ kind: 'schema', schema: base.schema }, ownerRole, 'USAGE');
    for (const column of columns) {
      this.grant({ kind: 'column', schema: base.schema, name: base.name, column }, ownerRole, 'SELECT');
    }
  }

  compiledRoles(needs: readonly Need[], views: readonly BuiltView[], snapshot: Snapshot): void {
    const built = new Map(views.map((one) => [one.need, one]));
    for (const need of needs) {
      const view = built.get(need);
      if (need.target === 'base') this.baseAccess(need);
      else if (view !== undefined) this.viewAccess(need, view, snapshot);
    }
    this.functionAccess(snapshot);
    for (const group of this.groups.values()) this.emit(group);
  }

  private baseAccess(need: Need): void {
    const { schema, name } = relationRef(need.table);
    const on: GrantTarget = { kind: 'relation', schema, name };
    this.collect(need, 'base_read', need.readers, [[on, ['SELECT']]], schema);
    this.collect(
      need,
      'base_write',
      union(need.inserters, need.writers),
      [[on, ['INSERT', 'UPDATE', 'DELETE']], ...sequences(need)],
      schema,
    );
  }

  private viewAccess(need: Need, { view, functions }: BuiltView, snapshot: Snapshot): void {
    const on: GrantTarget = { kind: 'relation', schema: view.schema, name: view.name };
    const short = need.target === 'governed' ? '' : `${need.target}_`;
    const calls = functions.flatMap((one) => functionTargets(snapshot, this.catalog.name, one));
    this.collect(need, `${short}read`, need.readers, [[on, ['SELECT']], ...calls], view.schema);
    // RETURNING needs SELECT; together with INSERT alone it opens nothing (ON CONFLICT DO UPDATE also needs UPDATE).
    this.collect(
      need,
      `${short}insert`,
      need.inserters,
      [[on, ['SELECT', 'INSERT']], ...sequences(need)],
      view.schema,
    );
    this.collect(need, `${short}write`, need.writers, [[on, ['UPDATE', 'DELETE']]], view.schema);
  }

  private functionAccess(snapshot: Snapshot): void {
    for (const [name, functions] of snapshot.catalog.functions) {
      if (!isWithin(name, this.catalog.name)) continue;
      const usable = functions.filter((one) => !one.securityDefiner);
      const callers =
        usable.length === 0
          ? []
          : [...this.principals(snapshot)].filter(
              (principal) => snapshot.decide(principal, 'EXECUTE', name).effect === 'allow',
            );
      const [, schema = '', plain = ''] = nameParts(name);
      const objects = usable.map((one): [GrantTarget, string[]] => [
        { kind: 'function', schema, name: plain, signature: one.signature },
        ['EXECUTE'],
      ]);
      for (const door of doors)
        this.add({ door, kind: 'execute', who: new Set(callers), label: name, schema, objects });
    }
  }

  private principals(snapshot: Snapshot): readonly PrincipalName[] {
    return admitted(snapshot, this.catalog.name);
  }

  private collect(
    need: Need,
    kind: string,
    who: ReadonlySet<PrincipalName>,
    objects: readonly Privileges[],
    schema: string,
  ): void {
    this.add({ door: need.door, kind, who, label: need.table.name, schema, objects });
  }

  /** Same door, same kind, same people: one role. */
  private add(part: {
    door: Door;
    kind: string;
    who: ReadonlySet<PrincipalName>;
    label: string;
    schema: string;
    objects: readonly Privileges[];
  }): void {
    if (part.who.size === 0 || part.objects.length === 0) return;
    const people = createHash('sha256')
      .update([...part.who].sort().join('\n'))
      .digest('hex');
    const key = keyOf(part.door, part.kind, people);
    const group = this.groups.get(key) ?? {
      door: part.door,
      kind: part.kind,
      who: part.who,
      label: part.label,
      schemas: new Set<string>(),
      objects: [],
    };
    if (part.label < group.label) group.label = part.label;
    group.schemas.add(part.schema);
    group.objects.push(...part.objects);
    this.groups.set(key, group);
  }

  private emit(group: Group): void {
    // Named after its first table, so that a new principal or a new table leaves most roles as they are.
    const signature = `${this.catalog.name} ${group.door} ${group.kind} ${group.label}`;
    const role = compiledRole(signature, group.kind);
    this.role(role, `writ: compiled ${signature}`);
    for (const schema of group.schemas) this.grant({ kind: 'schema', schema }, role, 'USAGE');
    for (const [on, privileges] of group.objects)
      for (const privilege of privileges) this.grant(on, role, privilege);
    for (const principal of group.who) this.member(role, principalRole(principal, group.door));
  }
}

type Privileges = readonly [GrantTarget, readonly string[]];

interface Group {
  readonly door: Door;
  readonly kind: string;
  readonly who: ReadonlySet<PrincipalName>;
  label: string;
  readonly schemas: Set<string>;
  readonly objects: Privileges[];
}

/** Functions of schema `writ` that views call, with their argument types. */
const callable: readonly (readonly [string, string])[] = [
  ['principal', ''],
  ['attribute', 'name text'],
  ['exempt', 'policy text'],
  ['is_member', 'grp text'],
  ['lease_live', ''],
];

function columnsOf(snapshot: Snapshot, catalog: SecurableName, ref: RelationRef): readonly string[] {
  return tableAt(snapshot, catalog, ref.schema, ref.name)?.columns.map((column) => column.name) ?? [];
}

/** A serial column calls nextval as whoever inserts, through a view too. */
function sequences(need: Need): Privileges[] {
  return (need.table.sequences ?? []).map((sequence): Privileges => {
    const parts = nameParts(sequence);
    return [{ kind: 'sequence', schema: parts.at(-2) ?? '', name: lastPart(sequence) }, ['USAGE']];
  });
}

function functionTargets(
  snapshot: Snapshot,
  catalog: SecurableName,
  called: { schema: string; name: string },
): Privileges[] {
  return [...snapshot.catalog.functions.values()].flat().flatMap((one): Privileges[] => {
    const [, schema, name] = nameParts(one.name);
    if (
      schema !== called.schema ||
      name !== called.name ||
      !isWithin(one.name, catalog) ||
      one.securityDefiner
    )
      return [];
    return [[{ kind: 'function', schema, name, signature: one.signature }, ['EXECUTE']]];
  });
}

function caveats(views: readonly BuiltView[], needs: readonly Need[], options: DesiredOptions): string[] {
  const sentences: string[] = [];
  if (!options.superuser) {
    sentences.push(
      'a migration of a governed table needs `writ sync pause` and `resume`, because event triggers need a superuser here',
    );
  }
  const locks = new Set(
    views
      .filter(({ need, view }) => need.writers.size > 0 && view.body === null)
      .map(({ need }) => need.table.name),
  );
  for (const need of needs) if (need.target === 'base' && need.writers.size > 0) locks.add(need.table.name);
  for (const table of [...locks].sort())
    sentences.push(`whoever has MODIFY on ${table} can lock it (LOCK TABLE), because DELETE permits that`);
  return sentences;
}

const union = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): ReadonlySet<T> => new Set([...a, ...b]);
