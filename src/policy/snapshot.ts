import type { CatalogSnapshot } from '../catalog/model.ts';
import type { Decision, Reason } from '../kernel/decision.ts';
import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import { type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import type { Assumption } from './assumption.ts';
import { Decider } from './decide.ts';
import type { PolicyDocuments, PrincipalOrGroup } from './document.ts';
import type { GateEnforcer } from './enforcer.ts';
import { compareText } from './findings.ts';
import type { AccessRule } from './gates.ts';
import { binds, claimSourced, isAmong, type Membership, type PrincipalClass } from './membership.ts';
import type { Audience, BoundRules, ColumnMaskRule, PolicyFile, Snapshot, TableRules } from './model.ts';
import type { Tags } from './tags.ts';

export interface SnapshotParts {
  readonly id: string;
  readonly files: readonly PolicyFile[];
  readonly documents: PolicyDocuments;
  readonly catalog: CatalogSnapshot;
  readonly known: readonly PrincipalName[];
  readonly tags: Tags;
  readonly membership: Membership;
  readonly tables: ReadonlyMap<SecurableName, TableRules>;
  readonly access: readonly AccessRule[];
  readonly assumptions: readonly Assumption[];
  readonly enforcer: GateEnforcer;
  readonly nextExpiry: number;
}

/** Bound rules kept at most; beyond it they are forgotten and made again. */
const maximumBound = 200_000;

const unruled: BoundRules = { filters: [], masks: new Map(), exemptFromAll: false, reasons: [] };
const noAttributes: ReadonlyMap<string, readonly string[]> = new Map();

/** A compiled policy. Immutable to its readers; answers are kept once computed. */
export class CompiledSnapshot implements Snapshot {
  readonly id: string;
  readonly files: readonly PolicyFile[];
  readonly catalog: CatalogSnapshot;
  readonly principals: ReadonlySet<PrincipalName>;
  readonly groups: ReadonlySet<GroupName>;
  readonly claimSourced: ReadonlySet<GroupName>;
  readonly policies: readonly { readonly name: string; readonly audience: Audience }[];
  readonly nextExpiry: number;
  /** The documents that it was compiled from, for tools that print them. */
  readonly documents: PolicyDocuments;
  /** All rules that decisions are made from. */
  readonly access: readonly AccessRule[];
  readonly #tags: Tags;
  readonly #membership: Membership;
  readonly #tables: ReadonlyMap<SecurableName, TableRules>;
  readonly #decider: Decider;
  readonly #owners: ReadonlyMap<SecurableName, PrincipalOrGroup>;
  readonly #attributes: ReadonlyMap<PrincipalName, ReadonlyMap<string, readonly string[]>>;
  readonly #assumptions: readonly Assumption[];
  readonly #bound = new Map<PrincipalClass, Map<SecurableName, BoundRules>>();
  #boundCount = 0;
  #tableNames: readonly SecurableName[] | undefined;

  constructor(parts: SnapshotParts) {
    const { documents } = parts;
    this.id = parts.id;
    this.files = parts.files;
    this.catalog = parts.catalog;
    this.documents = documents;
    this.access = parts.access;
    this.nextExpiry = parts.nextExpiry;
    this.groups = new Set(documents.groups.map((group) => group.name.value));
    this.claimSourced = claimSourced(documents.groups);
    this.principals = principalsOf(documents, parts.known, this.groups);
    this.policies = documents.policies.map((policy) => ({
      name: policy.name.value,
      audience: {
        to: policy.to.map((name) => name.value),
        except: policy.except.map((name) => name.value),
      },
    }));
    this.#tags = parts.tags;
    this.#membership = parts.membership;
    this.#tables = parts.tables;
    this.#decider = new Decider(parts.access, parts.membership, parts.enforcer);
    this.#assumptions = parts.assumptions;
    this.#owners = new Map(
      documents.owners.flatMap((entry) => entry.on.map((on) => [on.value, entry.owner.value])),
    );
    this.#attributes = new Map(
      documents.attributes.map((entry) => [
        entry.principal.value,
        new Map(entry.values.map(({ name, values }) => [name.value, values])),
      ]),
    );
  }

  decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
    return this.#decider.decide(principal, privilege, on);
  }

  tableRules(table: SecurableName): TableRules | undefined {
    return this.#tables.get(table);
  }

  boundRules(principal: PrincipalName, table: SecurableName): BoundRules {
    const rules = this.#tables.get(table);
    if (rules === undefined) return unruled;
    const who = this.#membership.classOf(principal);
    const kept = this.#bound.get(who) ?? new Map<SecurableName, BoundRules>();
    this.#bound.set(who, kept);
    const known = kept.get(table);
    if (known !== undefined) return known;
    const found = bindTo(rules, who);
    kept.set(table, found);
    if (++this.#boundCount > maximumBound) {
      this.#bound.clear();
      this.#boundCount = 0;
    }
    return found;
  }

  binds(audience: Audience, principal: PrincipalName): boolean {
    return binds(audience, this.#membership.classOf(principal));
  }

  groupsOf(principal: PrincipalName): ReadonlySet<GroupName> {
    return this.#membership.classOf(principal).groups;
  }

  /** Principals of one class get the same answers from everything but `attributes`. */
  classOf(principal: PrincipalName): PrincipalClass {
    return this.#membership.classOf(principal);
  }

  anchorOf(on: SecurableName): number {
    return this.#decider.anchorOf(on);
  }

  asking(principal: PrincipalName): (privilege: Privilege, on: SecurableName) => boolean {
    return this.#decider.asking(principal);
  }

  tableNames(): readonly SecurableName[] {
    this.#tableNames ??= [...this.catalog.tables.keys()].sort(compareText);
    return this.#tableNames;
  }

  attributes(principal: PrincipalName): ReadonlyMap<string, readonly string[]> {
    return this.#attributes.get(principal) ?? noAttributes;
  }

  assumableRoles(principal: PrincipalName, catalog: SecurableName): readonly string[] {
    const who = this.#membership.classOf(principal);
    const roles = this.#assumptions
      .filter((assumption) => assumption.on === catalog && isAmong(who, assumption.to))
      .map((assumption) => assumption.role);
    return [...new Set(roles)].sort();
  }

  /** The nearest owner: what has none of its own belongs to who owns what contains it. */
  owner(on: SecurableName): PrincipalOrGroup | undefined {
    for (const name of withAncestors(on)) {
      const owner = this.#owners.get(name);
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  tags(on: SecurableName): ReadonlyMap<string, string> {
    return this.#tags.of(on);
  }
}

/** Every row filter that binds; of each column's masks the first that binds (they stand in order of rank). */
function bindTo(rules: TableRules, who: PrincipalClass): BoundRules {
  const filters = rules.filters.filter((rule) => binds(rule.audience, who));
  const masks = new Map<string, ColumnMaskRule>();
  for (const rule of rules.masks)
    if (!masks.has(rule.column) && binds(rule.audience, who)) masks.set(rule.column, rule);
  const reasons: Reason[] = [...filters, ...masks.values()].map(({ kind, policy, on }) => ({
    kind,
    policy,
    on,
  }));
  return { filters, masks, exemptFromAll: filters.length === 0 && masks.size === 0, reasons };
}

function principalsOf(
  documents: PolicyDocuments,
  known: readonly PrincipalName[],
  groups: ReadonlySet<GroupName>,
): ReadonlySet<PrincipalName> {
  const named: readonly PrincipalOrGroup[] = [
    ...documents.servicePrincipals.map((name) => name.value),
    ...documents.groups.flatMap((group) => group.members.map((member) => member.value)),
    ...documents.attributes.map((entry) => entry.principal.value),
    ...documents.owners.map((entry) => entry.owner.value),
    ...documents.grants.flatMap((grant) => grant.to.map((to) => to.value)),
    ...documents.policies.flatMap((policy) => [...policy.to, ...policy.except].map((name) => name.value)),
    ...known,
  ];
  const people = named.filter((name) => !groups.has(name as GroupName) && name !== 'all users');
  return new Set(people as PrincipalName[]);
}
