import type { CatalogSnapshot, TableInfo } from '../catalog/model.ts';
import type { GroupName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import {
  child,
  formatSecurableName,
  isWithin,
  metastore,
  nameParts,
  type SecurableName,
  withAncestors,
} from '../kernel/securable-name.ts';
import type { Assumption } from './assumption.ts';
import type { InvariantEntry, PrincipalOrGroup, PrivilegeInvariant, TagInvariant } from './document.ts';
import { type AccessRule, depth, type Gate, gatesOf, opens } from './gates.ts';
import type { Bits, GateWithRules, Lens } from './imagined.ts';
import { describeInvariant, type Extent } from './invariant-words.ts';
import type { Audience, ColumnMaskRule, RowFilterRule, TableRules } from './model.ts';
import { groupsAsked, letsAllThrough, reveals } from './reveals.ts';
import { holds, type Tags } from './tags.ts';

// An invariant × the catalog → questions, each asked once for all that it is answered alike for. Pure.

/** Why nothing holds a person with these bits; undefined: something does. */
export type Breaks = (bits: Bits) => string | undefined;

interface Asked {
  readonly on: SecurableName;
  readonly through: SecurableName;
  readonly only: readonly PrincipalOrGroup[];
  /** Every name that the answer depends on. */
  readonly names: readonly PrincipalOrGroup[];
}

export type Question =
  | (Asked & {
      readonly kind: 'gates';
      readonly privilege: Privilege;
      readonly gates: readonly GateWithRules[];
      readonly breaks: (lens: Lens) => Breaks;
    })
  /** Whoever acts as a role of the database is outside everything. `through`: the catalog. */
  | (Asked & { readonly kind: 'assume'; readonly to: PrincipalOrGroup; readonly role: string });

export interface QuestionParts {
  readonly catalog: CatalogSnapshot;
  readonly tags: Tags;
  readonly tables: ReadonlyMap<SecurableName, TableRules>;
  readonly assumptions: readonly Assumption[];
}

/** Which rules open a gate; asked once for all gates below one anchor at one depth. */
export class GateRules {
  readonly #bySecurable = new Map<SecurableName, AccessRule[]>();
  readonly #known = new Map<string, readonly AccessRule[]>();
  readonly #keys = new Map<string, string>();

  constructor(access: readonly AccessRule[]) {
    for (const rule of access) {
      const own = this.#bySecurable.get(rule.on);
      if (own === undefined) this.#bySecurable.set(rule.on, [rule]);
      else own.push(rule);
    }
  }

  /** Gates of one key are opened by the same rules. */
  key({ privilege, on }: Gate): string {
    const name = `${privilege} ${on}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const anchor = withAncestors(on).find((one) => this.#bySecurable.has(one)) ?? metastore;
    const key = `${privilege} ${depth(on)} ${anchor}`;
    this.#keys.set(name, key);
    return key;
  }

  of(gate: Gate): GateWithRules {
    const key = this.key(gate);
    const known = this.#known.get(key) ?? this.#read(gate);
    this.#known.set(key, known);
    return { gate, rules: known };
  }

  #read({ privilege, on }: Gate): readonly AccessRule[] {
    return withAncestors(on).flatMap((name) => this.#from(name, privilege, depth(on)));
  }

  /** Rules on one securable that open a gate at some depth below: for a catalog the same for all its tables. */
  #from(name: SecurableName, privilege: Privilege, gateDepth: number): readonly AccessRule[] {
    const own = this.#bySecurable.get(name);
    if (own === undefined) return [];
    const key = `${privilege} ${gateDepth} from ${name}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = own.filter((rule) => opens(rule.act, depth(name), privilege, gateDepth));
    this.#known.set(key, found);
    return found;
  }
}

export interface Questions {
  readonly words: string;
  readonly idle: boolean;
  readonly questions: readonly Question[];
}

export function questionsOf(invariant: InvariantEntry, parts: QuestionParts, rules: GateRules): Questions {
  const asking = new Asking(invariant, parts, rules);
  const extent = invariant.claim === 'onlyFor' ? asking.privilege(invariant) : asking.tagged(invariant);
  return {
    words: describeInvariant(invariant, extent),
    idle: invariant.claim !== 'onlyFor' && extent.tables === 0,
    questions: asking.questions,
  };
}

class Asking {
  readonly questions: Question[] = [];
  readonly #parts: QuestionParts;
  readonly #rules: GateRules;
  readonly #only: readonly PrincipalOrGroup[];
  readonly #seen = new Set<string>();
  readonly #outside = new Set<SecurableName>();

  constructor({ only }: InvariantEntry, parts: QuestionParts, rules: GateRules) {
    this.#parts = parts;
    this.#rules = rules;
    this.#only = only.map(({ value }) => value);
  }

  /** Columns by their own tags; a tag on a table, or inherited by it, is on all its columns. */
  tagged({ claim, forall }: TagInvariant): Extent {
    const { catalog, tags } = this.#parts;
    const views = viewsOver(catalog);
    let columns = 0;
    let tables = 0;
    for (const table of catalog.tables.values()) {
      const found = taggedColumns(table, forall, tags);
      if (found.length === 0) continue;
      columns += found.length;
      tables++;
      const rules = this.#parts.tables.get(table.name);
      for (const through of [table.name, ...(views.get(table.name) ?? [])]) {
        if (claim === 'unmaskedOnlyFor')
          for (const column of found) this.#masked(table, column, rules, through);
        else if (claim === 'filteredExceptFor') this.#filtered(table.name, rules, through);
        else this.#gates({ on: table.name, through, privilege: 'SELECT', names: [], key: '', breaks: reads });
      }
      this.#assumed(table.name);
    }
    return { columns, tables };
  }

  privilege({ on, privilege }: PrivilegeInvariant): Extent {
    const targets = placesOf(privilege.value, this.#parts.catalog).filter((name) =>
      on.some(({ value }) => isWithin(name, value)),
    );
    for (const name of targets) {
      const asked = { on: name, through: name, privilege: privilege.value, names: [], key: '' };
      this.#gates({ ...asked, breaks: () => () => `nothing keeps them from ${privilege.value}` });
      if (dataPrivileges.has(privilege.value)) this.#assumed(name);
    }
    return { columns: 0, tables: targets.length };
  }

  #masked(table: TableInfo, column: string, rules: TableRules | undefined, through: SecurableName): void {
    const masks = (rules?.masks ?? []).filter(
      (mask) => mask.column === column || namesFor(mask, column).size > 0,
    );
    const isView = table.kind === 'VIEW' || table.kind === 'MATERIALIZED_VIEW';
    this.#gates({
      on: child(table.name, column),
      through,
      privilege: 'SELECT',
      names: namesOf(masks),
      key: JSON.stringify([
        isView,
        masks.map((mask) => [mask.policy, mask.column === column, ...namesFor(mask, column)]),
      ]),
      breaks: (lens) => unmasked(lens, column, masks, isView),
    });
  }

  #filtered(table: SecurableName, rules: TableRules | undefined, through: SecurableName): void {
    const filters = rules?.filters ?? [];
    this.#gates({
      on: table,
      through,
      privilege: 'SELECT',
      names: namesOf(filters),
      key: filters.map(({ policy }) => policy).join('\n'),
      breaks: (lens) => unfiltered(lens, filters),
    });
  }

  #gates(asked: {
    readonly on: SecurableName;
    readonly through: SecurableName;
    readonly privilege: Privilege;
    readonly names: readonly PrincipalOrGroup[];
    /** Tells apart what the gates do not. */
    readonly key: string;
    readonly breaks: (lens: Lens) => Breaks;
  }): void {
    const gates = gatesOf(asked.privilege, asked.through);
    const key = JSON.stringify([asked.key, gates.map((gate) => this.#rules.key(gate))]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const { on, through, privilege, breaks } = asked;
    const names = [...this.#only, ...asked.names];
    const withRules = gates.map((gate) => this.#rules.of(gate));
    this.questions.push({
      kind: 'gates',
      on,
      through,
      privilege,
      only: this.#only,
      names,
      gates: withRules,
      breaks,
    });
  }

  /** Once for each catalog and role. */
  #assumed(on: SecurableName): void {
    const catalog = formatSecurableName(nameParts(on).slice(0, 1));
    if (this.#outside.has(catalog)) return;
    this.#outside.add(catalog);
    for (const { on: where, role, to } of this.#parts.assumptions.filter((one) => one.on === catalog))
      for (const one of to)
        this.questions.push({
          kind: 'assume',
          on,
          through: where,
          only: this.#only,
          names: this.#only,
          to: one,
          role,
        });
  }
}

const reads = () => () => 'nothing keeps them from reading it';

/** `masks`: of the column, and of columns beside it whose masks read it. */
function unmasked(lens: Lens, column: string, masks: readonly ColumnMaskRule[], isView: boolean): Breaks {
  const bound = masks.map((mask) => ({
    mask,
    binds: bindsBits(lens, mask.audience),
    names: namesFor(mask, column),
  }));
  const own = bound.filter(({ mask }) => mask.column === column);
  const beside = bound.filter(({ mask }) => mask.column !== column);
  return (bits) => {
    if (isView) return 'tags on a view bind no mask; tag the column that it reads';
    const first = own.find(({ binds }) => binds(bits));
    if (first === undefined)
      return own.length === 0
        ? 'no mask is on it'
        : `not bound by ${own.map(({ mask }) => mask.policy).join(', ')}`;
    const shows = ({ mask, binds, names }: (typeof bound)[number]) =>
      binds(bits) && reveals(mask.expression, memberBits(lens, bits), names);
    if (shows(first)) return `mask ${first.mask.policy} hands the value on`;
    const other = beside.find(shows)?.mask;
    return other === undefined ? undefined : `mask ${other.policy} shows it in ${other.column}`;
  };
}

/** The names under which a mask's expression finds a column: `value`, and what `match` binds to it. */
function namesFor({ bindings }: ColumnMaskRule, column: string): ReadonlySet<string> {
  return new Set([...bindings].filter(([, bound]) => bound === column).map(([name]) => name));
}

function unfiltered(lens: Lens, filters: readonly RowFilterRule[]): Breaks {
  const bound = filters.map((filter) => ({ filter, binds: bindsBits(lens, filter.audience) }));
  return (bits) => {
    const isMember = memberBits(lens, bits);
    const binding = bound.filter(({ binds }) => binds(bits)).map(({ filter }) => filter);
    if (binding.some(({ expression }) => !letsAllThrough(expression, isMember))) return undefined;
    if (binding.length > 0) return `filter ${binding[0]?.policy} lets every row through`;
    return filters.length === 0
      ? 'no row filter is on it'
      : `not bound by ${filters.map(({ policy }) => policy).join(', ')}`;
  };
}

function bindsBits(lens: Lens, audience: Audience): (bits: Bits) => boolean {
  const to = lens.mask(audience.to);
  const except = lens.mask(audience.except);
  return (bits) => (bits & to) !== 0n && (bits & except) === 0n;
}

function memberBits(lens: Lens, bits: Bits): (group: string) => boolean {
  return (group) => (bits & lens.mask([group as GroupName])) !== 0n;
}

function namesOf(rules: readonly (ColumnMaskRule | RowFilterRule)[]): readonly PrincipalOrGroup[] {
  return rules.flatMap(({ audience, expression }) => [
    ...audience.to,
    ...audience.except,
    ...(groupsAsked(expression) as GroupName[]),
  ]);
}

function taggedColumns(table: TableInfo, forall: TagInvariant['forall'], tags: Tags): readonly string[] {
  const whole = holds(forall, tags.of(table.name));
  if (!whole && tags.taggedColumns(table.name).length === 0) return [];
  return table.columns
    .filter(({ name }) => whole || holds(forall, tags.own(child(table.name, name))))
    .map(({ name }) => name);
}

/** Table → views that show rows of it, through any chain. */
function viewsOver({ tables }: CatalogSnapshot): ReadonlyMap<SecurableName, readonly SecurableName[]> {
  const over = new Map<SecurableName, SecurableName[]>();
  for (const { name, reads: direct = [] } of tables.values()) {
    if (direct.length === 0) continue;
    const beneath = new Set(direct);
    for (const one of beneath) for (const read of tables.get(one)?.reads ?? []) beneath.add(read);
    for (const one of beneath) {
      const views = over.get(one);
      if (views === undefined) over.set(one, [name]);
      else views.push(name);
    }
  }
  return over;
}

/** Acting as a role of the database gives these, whatever the policy says of them. */
const dataPrivileges: ReadonlySet<Privilege> = new Set(['SELECT', 'MODIFY']);

const onTables: ReadonlySet<Privilege> = new Set(['SELECT', 'MODIFY', 'REFRESH']);
const onCatalogs: ReadonlySet<Privilege> = new Set(['USE CATALOG', 'CREATE SCHEMA']);
const anywhere: ReadonlySet<Privilege> = new Set(['MANAGE', 'BROWSE', 'APPLY TAG', 'ALL PRIVILEGES']);

/** Where a privilege means something: data on tables, USE SCHEMA on schemas, MANAGE everywhere. */
function placesOf(privilege: Privilege, catalog: CatalogSnapshot): readonly SecurableName[] {
  const { catalogs, schemas, tables, functions } = catalog;
  if (onTables.has(privilege)) return [...tables.keys()];
  if (privilege === 'EXECUTE') return [...functions.keys()];
  if (onCatalogs.has(privilege)) return [...catalogs.keys()];
  if (privilege === 'CREATE CATALOG') return [metastore];
  if (anywhere.has(privilege))
    return [metastore, ...catalogs.keys(), ...schemas, ...tables.keys(), ...functions.keys()];
  return [...schemas];
}
