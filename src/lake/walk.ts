import { isAllowedFunction, isAllowedInFrom, isAllowedInWindow, takesTimePart } from './allowed-functions.ts';
import {
  checkType,
  location,
  operatorTypes,
  plainExpressions,
  plainSchema,
  setOperands,
} from './node-shapes.ts';
import { isObject, type Json, type JsonObject, list, object, only, refuse, text } from './tree.ts';

// The allow-list walk over DuckDB's parse tree: every kind of node is named here or refused. Pure.

/** A table as the text names it; empty strings where a part is missing. */
export interface TableUse {
  readonly catalog: string;
  readonly schema: string;
  readonly table: string;
  readonly alias: string;
  /** Byte offset in the text. */
  readonly location: number;
}

export interface ColumnUse {
  readonly parts: readonly string[];
  readonly location: number;
}

/** What a statement uses. */
export interface Uses {
  readonly tables: readonly TableUse[];
  readonly columns: readonly ColumnUse[];
  /** `*`, COLUMNS(…), natural joins: any column may be read. */
  readonly allColumns: boolean;
  /** Numbers of $1, $2, …, ascending. */
  readonly parameters: readonly number[];
  /**
   * Expressions that DuckDB takes for ones that cannot fail, and may therefore try on rows that a filter hides: whether
   * they fail would tell of those. Refused where a filter binds.
   */
  readonly telltales: readonly string[];
}

type Scope = ReadonlySet<string>;
const maxDepth = 400;

/** @throws refused_on_purpose for whatever is not on the list */
export function walkStatement(statement: Json): Uses {
  const walk = new Walk();
  walk.statement(statement, new Set());
  return {
    tables: walk.tables,
    columns: walk.columns,
    allColumns: walk.allColumns,
    telltales: [...walk.telltales],
    parameters: [...walk.parameters].sort((a, b) => a - b),
  };
}

const common = ['class', 'type', 'alias', 'query_location'];
const tableCommon = ['type', 'alias', 'sample', 'query_location'];

class Walk {
  readonly tables: TableUse[] = [];
  readonly columns: ColumnUse[] = [];
  readonly parameters = new Set<number>();
  readonly telltales = new Set<string>();
  allColumns = false;
  #depth = 0;

  statement(value: Json | undefined, scope: Scope): void {
    const statement = object(value, 'statement');
    only(statement, ['node', 'named_param_map'], 'a statement');
    this.queryNode(statement['node'], scope);
  }

  queryNode(value: Json | undefined, outer: Scope): void {
    this.#deeper(() => {
      const node = object(value, 'query');
      const scope = this.#ctes(node['cte_map'], outer);
      for (const modifier of list(node['modifiers'], 'modifiers')) this.#modifier(modifier, scope);
      const type = text(node['type'], 'query');
      switch (type) {
        case 'SELECT_NODE':
          return this.#select(node, scope);
        case 'SET_OPERATION_NODE':
          only(
            node,
            ['type', 'modifiers', 'cte_map', 'setop_type', 'left', 'right', 'setop_all', 'children'],
            type,
          );
          for (const side of setOperands(node)) this.queryNode(side, scope);
          return;
        case 'RECURSIVE_CTE_NODE':
          return this.#recursive(node, scope);
        default:
          return refuse(type);
      }
    });
  }

  #select(node: JsonObject, scope: Scope): void {
    only(
      node,
      [
        'type',
        'modifiers',
        'cte_map',
        'select_list',
        'from_table',
        'where_clause',
        'group_expressions',
        'group_sets',
        'aggregate_handling',
        'having',
        'sample',
        'qualify',
      ],
      'SELECT',
    );
    this.tableRef(node['from_table'], scope);
    this.#expressions(node['select_list'], scope);
    this.#expressions(node['group_expressions'], scope);
    this.#sample(node['sample']);
    for (const key of ['where_clause', 'having', 'qualify']) this.#optional(node[key], scope);
  }

  /** The name stands for the rows so far, in the recursive part only. */
  #recursive(node: JsonObject, scope: Scope): void {
    const known = [
      'type',
      'modifiers',
      'cte_map',
      'cte_name',
      'union_all',
      'left',
      'right',
      'aliases',
      'key_targets',
    ];
    only(node, known, 'WITH RECURSIVE');
    this.queryNode(node['left'], scope);
    const name = text(node['cte_name'], 'recursive name').toLowerCase();
    this.queryNode(node['right'], new Set([...scope, name]));
    this.#expressions(node['key_targets'], scope);
  }

  /** Each sees those before it; the query sees all. */
  #ctes(value: Json | undefined, outer: Scope): Scope {
    if (value === undefined || value === null) return outer;
    const scope = new Set(outer);
    for (const entry of list(object(value, 'WITH')['map'], 'WITH')) {
      const { key, value: cte } = object(entry, 'WITH');
      const body = object(cte, 'WITH');
      only(body, ['aliases', 'query', 'materialized', 'key_targets'], 'WITH');
      this.statement(body['query'], scope);
      this.#expressions(body['key_targets'], scope);
      scope.add(text(key, 'WITH').toLowerCase());
    }
    return scope;
  }

  tableRef(value: Json | undefined, scope: Scope): void {
    this.#deeper(() => {
      const table = object(value, 'FROM');
      this.#sample(table['sample']);
      const type = text(table['type'], 'FROM');
      switch (type) {
        case 'EMPTY':
          return only(table, tableCommon, type);
        case 'BASE_TABLE':
          return this.#baseTable(table, scope);
        case 'SUBQUERY':
          only(table, [...tableCommon, 'subquery', 'column_name_alias'], 'a subquery');
          return this.statement(table['subquery'], scope);
        case 'JOIN':
          return this.#join(table, scope);
        case 'TABLE_FUNCTION':
          return this.#tableFunction(table, scope);
        case 'EXPRESSION_LIST':
          only(
            table,
            [...tableCommon, 'expected_names', 'expected_types', 'values', 'column_name_alias'],
            'VALUES',
          );
          for (const row of list(table['values'], 'VALUES')) this.#expressions(row, scope);
          return;
        case 'PIVOT':
          return this.#pivot(table, scope);
        case 'SHOW_REF':
          return this.#describe(table, scope);
        default:
          return refuse(type);
      }
    });
  }

  #baseTable(table: JsonObject, scope: Scope): void {
    if (table['at_clause'] !== null && table['at_clause'] !== undefined) refuse('AT (time travel)');
    const known = ['schema_name', 'table_name', 'column_name_alias', 'catalog_name', 'at_clause'];
    only(table, [...tableCommon, ...known], 'a table');
    const use: TableUse = {
      catalog: text(table['catalog_name'], 'table'),
      schema: text(table['schema_name'], 'table'),
      table: text(table['table_name'], 'table'),
      alias: text(table['alias'], 'table'),
      location: location(table),
    };
    const isCte = use.catalog === '' && use.schema === '' && scope.has(use.table.toLowerCase());
    if (!isCte) this.tables.push(use);
  }

  #join(table: JsonObject, scope: Scope): void {
    const known = ['left', 'right', 'condition', 'join_type', 'ref_type', 'using_columns', 'delim_flipped'];
    only(table, [...tableCommon, ...known], 'a join');
    this.tableRef(table['left'], scope);
    this.tableRef(table['right'], scope);
    this.#optional(table['condition'], scope);
    if (table['ref_type'] === 'NATURAL') this.allColumns = true;
    for (const name of list(table['using_columns'], 'USING')) {
      this.columns.push({ parts: [text(name, 'USING')], location: -1 });
    }
  }

  #tableFunction(table: JsonObject, scope: Scope): void {
    only(table, [...tableCommon, 'function', 'column_name_alias', 'with_ordinality'], 'a table function');
    const call = object(table['function'], 'table function');
    const name = text(call['function_name'], 'table function');
    if (!isAllowedInFrom(name)) refuse(`the table function ${name}()`);
    this.#call(call, scope, isAllowedInFrom);
  }

  #pivot(table: JsonObject, scope: Scope): void {
    const known = [
      'source',
      'aggregates',
      'unpivot_names',
      'pivots',
      'groups',
      'column_name_alias',
      'include_nulls',
    ];
    only(table, [...tableCommon, ...known], 'PIVOT');
    this.allColumns = true;
    this.tableRef(table['source'], scope);
    this.#expressions(table['aggregates'], scope);
    for (const value of list(table['pivots'], 'PIVOT')) {
      const pivot = object(value, 'PIVOT');
      only(pivot, ['pivot_expressions', 'unpivot_names', 'entries'], 'PIVOT');
      this.#expressions(pivot['pivot_expressions'], scope);
      for (const entry of list(pivot['entries'], 'PIVOT')) {
        const { star_expr: star, ...rest } = object(entry, 'PIVOT');
        only(rest, ['values', 'alias'], 'PIVOT');
        this.#optional(star, scope);
      }
    }
  }

  /** DESCRIBE of a query or table tells columns; SHOW and SUMMARIZE ask the engine's own catalog and statistics. */
  #describe(table: JsonObject, scope: Scope): void {
    const type = text(table['show_type'], 'SHOW');
    if (type !== 'DESCRIBE' || !isObject(table['query'])) refuse(type === 'SUMMARY' ? 'SUMMARIZE' : 'SHOW');
    only(table, [...tableCommon, 'show_type', 'query'], 'DESCRIBE');
    this.queryNode(table['query'], scope);
  }

  #sample(value: Json | undefined): void {
    if (value === null || value === undefined) return;
    const sample = object(value, 'sample');
    only(sample, ['sample_size', 'is_percentage', 'method', 'seed', 'repeatable'], 'a sample');
    only(object(sample['sample_size'], 'sample'), ['type', 'is_null', 'value'], 'a sample');
  }

  #modifier(value: Json, scope: Scope): void {
    const modifier = object(value, 'modifier');
    const type = text(modifier['type'], 'modifier');
    switch (type) {
      case 'ORDER_MODIFIER':
        this.#orders(modifier['orders'], scope);
        break;
      case 'LIMIT_MODIFIER':
      case 'LIMIT_PERCENT_MODIFIER':
        only(modifier, ['type', 'limit', 'offset'], 'LIMIT');
        this.#optional(modifier['limit'], scope);
        this.#optional(modifier['offset'], scope);
        break;
      case 'DISTINCT_MODIFIER':
        only(modifier, ['type', 'distinct_on_targets'], 'DISTINCT');
        this.#expressions(modifier['distinct_on_targets'], scope);
        break;
      default:
        refuse(type);
    }
  }

  #orders(value: Json | undefined, scope: Scope): void {
    for (const entry of list(value, 'ORDER BY')) {
      const order = object(entry, 'ORDER BY');
      only(order, ['type', 'null_order', 'expression'], 'ORDER BY');
      this.expression(order['expression'], scope);
    }
  }

  #expressions(value: Json | undefined, scope: Scope): void {
    if (value === null || value === undefined) return;
    for (const one of list(value, 'expressions')) this.expression(one, scope);
  }

  #optional(value: Json | undefined, scope: Scope): void {
    if (value !== null && value !== undefined) this.expression(value, scope);
  }

  expression(value: Json | undefined, scope: Scope): void {
    this.#deeper(() => {
      const node = object(value, 'expression');
      const kind = text(node['class'], 'expression');
      switch (kind) {
        case 'CONSTANT':
          return only(node, [...common, 'value'], 'a constant');
        case 'COLUMN_REF':
          return this.#column(node);
        case 'POSITIONAL_REFERENCE':
          this.allColumns = true;
          return only(node, [...common, 'index'], 'a position');
        case 'PARAMETER':
          return this.#parameter(node);
        case 'STAR':
          return this.#star(node, scope);
        case 'FUNCTION':
          return this.#call(node, scope, isAllowedFunction);
        case 'WINDOW':
          return this.#window(node, scope);
        case 'SUBQUERY':
          only(node, [...common, 'subquery_type', 'subquery', 'child', 'comparison_type'], 'a subquery');
          this.#optional(node['child'], scope);
          return this.statement(node['subquery'], scope);
        default:
          return this.#plain(kind, node, scope);
      }
    });
  }

  /** Expressions that hold nothing but other expressions. */
  #plain(kind: string, node: JsonObject, scope: Scope): void {
    const parts = plainExpressions[kind];
    if (parts === undefined) refuse(`the expression ${kind}`);
    only(node, [...common, ...parts.children, ...parts.plain], kind);
    if (kind === 'OPERATOR' && !operatorTypes.has(text(node['type'], 'operator')))
      refuse(text(node['type'], 'operator'));
    if (kind === 'LAMBDA') this.telltales.add('a lambda');
    if (kind === 'CAST') checkType(node['cast_type']);
    for (const key of parts.children) {
      if (key === 'case_checks') this.#caseChecks(node[key], scope);
      else if (Array.isArray(node[key])) this.#expressions(node[key], scope);
      else this.#optional(node[key], scope);
    }
  }

  #caseChecks(value: Json | undefined, scope: Scope): void {
    for (const entry of list(value, 'CASE')) {
      const check = object(entry, 'CASE');
      only(check, ['when_expr', 'then_expr'], 'CASE');
      this.expression(check['when_expr'], scope);
      this.expression(check['then_expr'], scope);
    }
  }

  #column(node: JsonObject): void {
    only(node, [...common, 'column_names'], 'a column');
    const parts = list(node['column_names'], 'column').map((part) => text(part, 'column'));
    this.columns.push({ parts, location: location(node) });
  }

  #parameter(node: JsonObject): void {
    only(node, [...common, 'identifier'], 'a parameter');
    const name = text(node['identifier'], 'parameter');
    if (!/^[1-9][0-9]{0,4}$/.test(name)) refuse(`the parameter $${name}`, 'parameters are $1, $2, …');
    this.parameters.add(Number(name));
  }

  #star(node: JsonObject, scope: Scope): void {
    const known = [
      'relation_name',
      'exclude_list',
      'replace_list',
      'columns',
      'expr',
      'qualified_exclude_list',
    ];
    only(node, [...common, ...known, 'rename_list'], '*');
    this.allColumns = true;
    for (const entry of list(node['replace_list'], 'REPLACE')) {
      this.expression(object(entry, 'REPLACE')['value'], scope);
    }
    this.#optional(node['expr'], scope);
  }

  #call(node: JsonObject, scope: Scope, isAllowed: (name: string) => boolean): void {
    const known = [
      'function_name',
      'schema',
      'catalog',
      'children',
      'filter',
      'order_bys',
      'distinct',
      'is_operator',
    ];
    const name = text(node['function_name'], 'function');
    only(node, [...common, ...known], `the function ${name}()`);
    if (!isAllowed(name)) refuse(`the function ${name}()`);
    this.#methodOf(node);
    const first = Array.isArray(node['children']) ? (node['children'][0] as Json | undefined) : undefined;
    if (takesTimePart(name) && !(isObject(first) && first['class'] === 'CONSTANT')) {
      this.telltales.add(`${name}() with a computed part`);
    }
    this.#expressions(node['children'], scope);
    this.#optional(node['filter'], scope);
    if (isObject(node['order_bys'])) this.#modifier(node['order_bys'], scope);
  }

  /** `t.x.upper()` is read as a function in a schema: what stands before the name may be a column. */
  #methodOf(node: JsonObject): void {
    const parts = [node['catalog'], node['schema']].map((part) => text(part ?? '', 'function'));
    const named = parts.filter((part) => part !== '');
    if (named.length > 0) this.columns.push({ parts: named, location: -1 });
  }

  #window(node: JsonObject, scope: Scope): void {
    const lists = ['children', 'partitions'];
    const optional = ['start_expr', 'end_expr', 'offset_expr', 'default_expr', 'filter_expr'];
    const plain = [
      'function_name',
      'schema',
      'catalog',
      'start',
      'end',
      'ignore_nulls',
      'exclude_clause',
      'distinct',
    ];
    const name = text(node['function_name'], 'window function');
    only(
      node,
      [...common, ...lists, ...optional, ...plain, 'orders', 'arg_orders'],
      `the function ${name}()`,
    );
    if (!isAllowedInWindow(name) || !plainSchema(node)) refuse(`the window function ${name}()`);
    for (const key of lists) this.#expressions(node[key], scope);
    for (const key of optional) this.#optional(node[key], scope);
    for (const key of ['orders', 'arg_orders']) this.#orders(node[key] ?? [], scope);
  }

  #deeper(work: () => void): void {
    if (++this.#depth > maxDepth) refuse(`nesting deeper than ${maxDepth}`);
    work();
    this.#depth--;
  }
}
