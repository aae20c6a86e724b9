import { createHash } from 'node:crypto';
import type { ColumnInfo, TableInfo } from '../catalog/model.ts';
import type { Door } from '../fleet/role-names.ts';
import { type Shape, shadowSchema } from '../fleet/shadow-names.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { nameParts } from '../kernel/securable-name.ts';
import { identifier, join, literal, qualified, type Sql, sql, trustedSql } from '../kernel/sql.ts';
import { printPostgres } from '../policy/expression/print-postgres.ts';
import type { PrintContext } from '../policy/expression/printer.ts';
import type { ColumnMaskRule, RowFilterRule, TableRules } from '../policy/model.ts';
import type { RelationRef, ShadowView } from './state.ts';

// One shadow view over one table: which columns, which masks, which rows. Pure. The view's text is built here for the
// reconciler and by writ.view_statement (writ-schema.sql) for the event triggers; a test holds them equal.

export interface ShadowViewRequest {
  readonly table: TableInfo;
  readonly door: Door;
  readonly shape: Shape;
  /** undefined: nothing to hide (clear views, tables without rules). */
  readonly rules: TableRules | undefined;
  /** Everybody who reads it, directly or through a copied view. */
  readonly readers: ReadonlySet<PrincipalName>;
  readonly binds: (rule: RowFilterRule | ColumnMaskRule, reader: PrincipalName) => boolean;
  /** Somebody writes through it. */
  readonly written: boolean;
}

/** `exemptions`: the policies whose exemption the view asks for. */
export function shadowView(request: ShadowViewRequest): {
  view: ShadowView;
  exemptions: ReadonlySet<string>;
} {
  const base = relationRef(request.table);
  const exemptions = new Set<string>();
  const hides = request.shape === 'clear' ? undefined : request.rules;
  const filters = (hides?.filters ?? []).flatMap((rule) => filterTerm(rule, request, exemptions));
  const columns = [...request.table.columns].sort((a, b) => a.position - b.position);
  const masked = columns.map((column) => ({
    column,
    expression: maskExpression(column, hides, request, exemptions),
  }));
  const gate = request.door === 'direct' ? [sql`(select writ.lease_live())`] : [];
  const terms = [...gate, ...filters];
  const hidden = filters.length > 0 || masked.some((one) => one.expression !== null);
  const view: ShadowView = {
    schema: shadowSchema(base.schema, request.door, request.shape),
    name: base.name,
    door: request.door,
    shape: request.shape,
    base,
    columns: masked.map(({ column, expression }) => ({
      name: column.name,
      attnum: column.position,
      type: column.engineType,
      expression: expression === null ? null : expression.text,
    })),
    ruled: ruledColumns(columns, hides, request),
    where: terms.length === 0 ? null : join(terms, ' and ').text,
    barrier: hidden,
    // INSERT looks at WHERE only by CHECK OPTION: without it an ended lease could still write.
    checkOption: request.written && terms.length > 0,
    body: null,
    definition: null,
    refs: [],
    pins: [],
    dependsOn: [],
    mentions: [base.name],
  };
  return { view, exemptions };
}

/** The statement; `replace` keeps the view's identity, so that grants and prepared statements live. */
export function viewStatement(view: ShadowView, replace: boolean): Sql {
  const create = replace ? sql`create or replace view` : sql`create view`;
  const options = view.barrier ? sql` with (security_barrier=true)` : sql``;
  const name = qualified(view.schema, view.name);
  if (view.body !== null) return sql`${create} ${name}${options} as ${trustedSql(view.body, 'parser')}`;
  const list = view.columns.map((column) =>
    column.expression === null
      ? identifier(column.name)
      : sql`(${trustedSql(column.expression, 'expression')})::${trustedSql(column.type, 'catalog')} as ${identifier(column.name)}`,
  );
  const where = view.where === null ? sql`` : sql` where ${trustedSql(view.where, 'expression')}`;
  const check = view.checkOption ? sql` with cascaded check option` : sql``;
  return sql`${create} ${name}${options} as select ${join(list)} from ${qualified(view.base.schema, view.base.name)}${where}${check}`;
}

export function fingerprint(view: ShadowView): string {
  // Types of plain columns follow the table; only a mask's cast is part of the text.
  const columns = view.columns.map((column) =>
    column.expression === null ? { ...column, type: '' } : column,
  );
  return createHash('sha256')
    .update(JSON.stringify({ ...view, columns }))
    .digest('hex')
    .slice(0, 32);
}

/** @throws internal for a table that was not discovered in Postgres. */
export function relationRef(table: TableInfo): RelationRef {
  const [, schema, name] = nameParts(table.name);
  if (schema === undefined || name === undefined || table.oid === undefined) {
    throw new WritError('internal', { message: `${table.name} has no place in a database` });
  }
  return { oid: table.oid, schema, name };
}

function boundAmong(
  rule: RowFilterRule | ColumnMaskRule,
  request: ShadowViewRequest,
): 'all' | 'some' | 'none' {
  let bound = 0;
  for (const reader of request.readers) if (request.binds(rule, reader)) bound++;
  if (bound === 0 && request.readers.size > 0) return 'none';
  return bound === request.readers.size ? 'all' : 'some';
}

function filterTerm(rule: RowFilterRule, request: ShadowViewRequest, exemptions: Set<string>): Sql[] {
  const bound = boundAmong(rule, request);
  if (bound === 'none') return [];
  const condition = sql`(${printPostgres(rule.expression, printContext(rule.bindings))})`;
  if (bound === 'all') return [condition];
  exemptions.add(rule.policy);
  return [sql`((select writ.exempt(${literal(rule.policy)})) or ${condition})`];
}

/** Masks stand in order: the first that binds a person wins. null: the column as it is. */
function maskExpression(
  column: ColumnInfo,
  rules: TableRules | undefined,
  request: ShadowViewRequest,
  exemptions: Set<string>,
): Sql | null {
  const branches: Sql[] = [];
  for (const rule of rules?.masks ?? []) {
    const bound = rule.column === column.name ? boundAmong(rule, request) : 'none';
    if (bound === 'none') continue;
    const mask = maskText(rule);
    if (bound === 'all') {
      return branches.length === 0 ? mask : sql`case ${join(branches, ' ')} else ${mask} end`;
    }
    exemptions.add(rule.policy);
    branches.push(sql`when not (select writ.exempt(${literal(rule.policy)})) then ${mask}`);
  }
  if (branches.length === 0) return null;
  return sql`case ${join(branches, ' ')} else ${identifier(column.name)} end`;
}

/** A mask over texts of two collations has none, and Postgres makes no view of it: then it has the default one. */
function maskText(rule: ColumnMaskRule): Sql {
  const mask = printPostgres(rule.expression, printContext(rule.bindings));
  const mixed = rule.expression.type === 'text' && new Set(rule.bindings.values()).size > 1;
  return mixed ? sql`(${mask} COLLATE pg_catalog."default")` : mask;
}

function ruledColumns(
  columns: readonly ColumnInfo[],
  rules: TableRules | undefined,
  request: ShadowViewRequest,
): ShadowView['ruled'] {
  const used = new Set<string>();
  for (const rule of [...(rules?.filters ?? []), ...(rules?.masks ?? [])]) {
    if (boundAmong(rule, request) === 'none') continue;
    for (const column of rule.bindings.values()) used.add(column);
    if (rule.kind === 'column-mask') used.add(rule.column);
  }
  return columns
    .filter((column) => used.has(column.name))
    .map((column) => ({ name: column.name, attnum: column.position }));
}

/** Identity functions answer for session_user; as scalar subqueries they run once a statement. */
function printContext(bindings: ReadonlyMap<string, string>): PrintContext {
  return {
    column: (name) => identifier(bindings.get(name) ?? name),
    principal: () => sql`(select writ.principal())`,
    isMember: (group) => sql`(select writ.is_member(${literal(group)}))`,
    attribute: (name) => sql`(select writ.attribute(${literal(name)}))`,
  };
}
