import type { CatalogSnapshot, ColumnInfo, TableInfo } from '../catalog/model.ts';
import {
  child,
  isWithin,
  lastPart,
  metastore,
  nameParts,
  type SecurableName,
} from '../kernel/securable-name.ts';
import type { ClusterSelector, PolicyEntry } from './document.ts';
import type { ExpressionType } from './expression/model.ts';
import type { BoundColumn, BoundColumns, Digits } from './expression/parse.ts';
import { type ParsedExpression, parseExpression } from './expression/parse.ts';
import { compareText } from './findings.ts';
import type { Audience, ColumnMaskRule, RowFilterRule, TableRules } from './model.ts';
import { holds, type Tags } from './tags.ts';

// Policies × tables → rules. What keeps a policy from applying where its author would expect it to is a problem that
// check.ts reports; nothing is silently left out but what the model says is left out.

/** Labels of a cluster by its name; every cluster carries `name`. */
export type ClusterLabels = ReadonlyMap<string, ReadonlyMap<string, string>>;

export type RuleProblem =
  | {
      readonly kind: 'ambiguous';
      readonly name: PolicyEntry['match'][number]['name'];
      readonly columns: readonly string[];
    }
  | { readonly kind: 'unusable-type'; readonly name: string; readonly column: ColumnInfo }
  | { readonly kind: 'expression'; readonly parsed: ParsedExpression };

export interface PlacedProblem {
  readonly policy: PolicyEntry;
  readonly table: SecurableName;
  readonly problem: RuleProblem;
}

export interface AllRules {
  readonly tables: ReadonlyMap<SecurableName, TableRules>;
  readonly problems: readonly PlacedProblem[];
  /** Policies that apply to no table. */
  readonly idle: readonly PolicyEntry[];
}

/** Binds every policy to the tables that it covers. The expression parser must be loaded. */
export function bindRules(
  policies: readonly PolicyEntry[],
  tags: Tags,
  catalog: CatalogSnapshot,
  labels: ClusterLabels,
): AllRules {
  const binder = new Binder(tags, catalog, labels);
  const tables = new Map<SecurableName, TableRules>();
  for (const table of catalog.tables.values()) {
    if (table.kind === 'VIEW' || table.kind === 'MATERIALIZED_VIEW') continue;
    const rules = binder.rulesOf(table, policies);
    if (rules !== undefined) tables.set(table.name, rules);
  }
  const idle = policies.filter((policy) => !binder.applied.has(policy));
  return { tables, problems: binder.problems, idle };
}

class Binder {
  readonly problems: PlacedProblem[] = [];
  readonly applied = new Set<PolicyEntry>();
  readonly #parsed = new Map<string, ParsedExpression>();
  readonly #audiences = new Map<PolicyEntry, Audience>();
  readonly #tags: Tags;
  readonly #catalog: CatalogSnapshot;
  readonly #labels: ClusterLabels;

  constructor(tags: Tags, catalog: CatalogSnapshot, labels: ClusterLabels) {
    this.#tags = tags;
    this.#catalog = catalog;
    this.#labels = labels;
  }

  rulesOf(table: TableInfo, policies: readonly PolicyEntry[]): TableRules | undefined {
    const filters: RowFilterRule[] = [];
    const masks: ColumnMaskRule[] = [];
    for (const policy of policies) {
      const scope = widestScope(policy, table.name);
      if (scope === undefined || !this.#selects(policy, table.name)) continue;
      if (!holds(policy.when, this.#tags.of(table.name))) continue;
      const found = this.#matches(policy, table);
      if (found === undefined) continue;
      this.applied.add(policy);
      if (policy.kind === 'row-filter') this.#filter(policy, scope, table, found, filters);
      else this.#masks(policy, scope, table, found, masks);
    }
    if (filters.length === 0 && masks.length === 0) return undefined;
    return {
      filters: filters.toSorted((a, b) => compareText(a.policy, b.policy)),
      masks: masks.toSorted(byRank),
    };
  }

  #selects(policy: PolicyEntry, table: SecurableName): boolean {
    return selectsCluster(policy.clusters, table, this.#catalog, this.#labels);
  }

  /** Name → columns; undefined where a name finds none, so that the policy does not apply. */
  #matches(policy: PolicyEntry, table: TableInfo): ReadonlyMap<string, readonly ColumnInfo[]> | undefined {
    const found = new Map<string, readonly ColumnInfo[]>();
    const tagged = new Set(this.#tags.taggedColumns(table.name).map(lastPart));
    const candidates = table.columns.filter((column) => tagged.has(column.name));
    for (const { name, conditions } of policy.match) {
      const columns = candidates.filter((column) =>
        holds(conditions, this.#tags.own(columnName(table, column))),
      );
      if (columns.length === 0) return undefined;
      found.set(name.value, columns);
      const several = columns.length > 1 && !(policy.kind === 'column-mask' && name.value === 'value');
      if (several)
        this.#problem(policy, table, {
          kind: 'ambiguous',
          name,
          columns: columns.map((column) => column.name),
        });
    }
    return found;
  }

  #filter(
    policy: PolicyEntry,
    on: SecurableName,
    table: TableInfo,
    found: ReadonlyMap<string, readonly ColumnInfo[]>,
    into: RowFilterRule[],
  ): void {
    const columns = new Map(
      [...found].flatMap(([name, [first]]) => (first === undefined ? [] : [[name, first]])),
    );
    const expression = this.#expression(policy, table, columns, 'boolean');
    if (expression === undefined) return;
    const [audience, bindings] = [this.#audience(policy), bindingsOf(columns)];
    const text = policy.expression.value;
    into.push({ kind: 'row-filter', policy: policy.name.value, on, expression, text, bindings, audience });
  }

  /** One rule per column that `value` finds. */
  #masks(
    policy: PolicyEntry,
    on: SecurableName,
    table: TableInfo,
    found: ReadonlyMap<string, readonly ColumnInfo[]>,
    into: ColumnMaskRule[],
  ): void {
    for (const masked of found.get('value') ?? []) {
      const columns = new Map(
        [...found].flatMap(([name, [first]]) => (first === undefined ? [] : [[name, first]])),
      );
      columns.set('value', masked);
      const type = usableType(masked);
      const expression =
        type === undefined
          ? this.#problem(policy, table, { kind: 'unusable-type', name: 'value', column: masked })
          : this.#expression(policy, table, columns, type);
      if (expression === undefined) continue;
      const [audience, bindings] = [this.#audience(policy), bindingsOf(columns)];
      const text = policy.expression.value;
      const rule = { policy: policy.name.value, on, expression, text, bindings, audience };
      into.push({ kind: 'column-mask', ...rule, column: masked.name, strength: policy.strength });
    }
  }

  #expression(
    policy: PolicyEntry,
    table: TableInfo,
    columns: ReadonlyMap<string, ColumnInfo>,
    wanted: ExpressionType,
  ): NonNullable<ParsedExpression['expression']> | undefined {
    const bound = new Map<string, BoundColumn>();
    for (const [name, column] of columns) {
      const type = usableType(column);
      if (type === undefined) return this.#problem(policy, table, { kind: 'unusable-type', name, column });
      bound.set(name, boundColumn(type, column));
    }
    const parsed = this.#parse(policy, bound, wanted);
    if (parsed.problems.length > 0) this.#problem(policy, table, { kind: 'expression', parsed });
    return parsed.expression;
  }

  /** Parsed once per policy and types of columns, however many tables it covers. */
  #parse(policy: PolicyEntry, bound: BoundColumns, wanted: ExpressionType): ParsedExpression {
    const key = JSON.stringify([policy.expression.value, [...bound], wanted]);
    const known = this.#parsed.get(key);
    if (known !== undefined) return known;
    const masked = policy.kind === 'column-mask' ? bound.get('value') : undefined;
    const parsed = parseExpression(policy.expression.value, bound, wanted, masked);
    this.#parsed.set(key, parsed);
    return parsed;
  }

  /** One value per policy, however many tables it covers. */
  #audience(policy: PolicyEntry): Audience {
    const known = this.#audiences.get(policy) ?? {
      to: policy.to.map((name) => name.value),
      except: policy.except.map((name) => name.value),
    };
    this.#audiences.set(policy, known);
    return known;
  }

  #problem(policy: PolicyEntry, table: TableInfo, problem: RuleProblem): undefined {
    this.problems.push({ policy, table: table.name, problem });
    return undefined;
  }
}

/** The greater strength first, then what is set higher up, then by name. */
function byRank(a: ColumnMaskRule, b: ColumnMaskRule): number {
  return (
    compareText(a.column, b.column) ||
    b.strength - a.strength ||
    depthOf(a.on) - depthOf(b.on) ||
    compareText(a.policy, b.policy)
  );
}

export function depthOf(on: SecurableName): number {
  return on === metastore ? 0 : nameParts(on).length;
}

function bindingsOf(columns: ReadonlyMap<string, ColumnInfo>): ReadonlyMap<string, string> {
  return new Map([...columns].map(([name, column]) => [name, column.name]));
}

function widestScope(policy: PolicyEntry, table: SecurableName): SecurableName | undefined {
  const scopes = policy.on.map((on) => on.value).filter((on) => isWithin(table, on));
  return scopes.toSorted((a, b) => depthOf(a) - depthOf(b))[0];
}

function columnName(table: TableInfo, column: ColumnInfo): SecurableName {
  return child(table.name, column.name);
}

/** Whether the cluster of a securable's catalog carries all labels; without a selector everything is covered. */
export function selectsCluster(
  selector: ClusterSelector | undefined,
  on: SecurableName,
  catalog: CatalogSnapshot,
  labels: ClusterLabels,
): boolean {
  if (selector === undefined) return true;
  const [first = ''] = nameParts(on);
  const cluster = [...catalog.catalogs.values()].find((info) => lastPart(info.name) === first)?.cluster;
  if (cluster === undefined) return false;
  const own = new Map([...(labels.get(cluster) ?? []), ['name', cluster]]);
  return [...selector].every(([label, value]) => own.get(label) === value);
}

/** The column's type in the language. Undefined where its values or their equality are not portable. */
export function usableType(column: ColumnInfo): ExpressionType | undefined {
  if (column.type === 'double' || column.type === 'other') return undefined;
  // Blank-padded and case-insensitive texts compare by rules of their own.
  if (column.type === 'text' && /^(character\(|character$|bpchar|char\(|citext)/i.test(column.engineType))
    return undefined;
  return column.type;
}

function boundColumn(type: ExpressionType, column: ColumnInfo): BoundColumn {
  const digits = digitsOf(column);
  return {
    type,
    ...(digits === undefined ? {} : { digits }),
    ...(/^(smallint|tinyint)$/i.test(column.engineType) ? { small: true as const } : {}),
  };
}

/** `numeric(12,2)`, `DECIMAL(18, 3)` → digits; undefined where none are declared. */
function digitsOf(column: ColumnInfo): Digits | undefined {
  if (column.type !== 'numeric') return undefined;
  const [, precision, scale = '0'] = /\((\d+)(?:\s*,\s*(-?\d+))?\)/.exec(column.engineType) ?? [];
  if (precision === undefined) return undefined;
  return { whole: Math.max(0, Number(precision) - Number(scale)), scale: Math.max(0, Number(scale)) };
}
