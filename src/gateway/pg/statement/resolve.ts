import type { TableInfo } from '../../../catalog/model.ts';
import { child, lastPart, nameParts, type SecurableName } from '../../../kernel/securable-name.ts';
import type { StatementContext } from '../governed.ts';
import { type Problem, refused } from './problem.ts';

// A relation's name as a statement writes it → what it means, as Postgres would find it: pg_catalog first, then the
// search path. Common table expressions are told apart before this.

export interface WrittenName {
  readonly catalog: string | undefined;
  readonly schema: string | undefined;
  readonly name: string;
  /** Byte offset in the client's text. */
  readonly at: number | undefined;
}

export type Resolved =
  | { readonly kind: 'table'; readonly info: TableInfo; readonly schema: string; readonly name: string }
  /** pg_catalog and information_schema: Postgres' own rules hold. */
  | { readonly kind: 'system'; readonly schema: string; readonly name: string }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** System relations that show what rules hide, or secrets; most are natively closed too. */
const closedRelations: ReadonlySet<string> = new Set([
  'pg_authid',
  'pg_shadow',
  'pg_statistic',
  'pg_statistic_ext_data',
  'pg_largeobject',
  'pg_user_mapping',
  'pg_hba_file_rules',
  'pg_ident_file_mappings',
  'pg_file_settings',
  'pg_stat_statements',
  'pg_stat_statements_info',
]);

export function resolveRelation(context: StatementContext, written: WrittenName): Resolved {
  const elsewhere = otherCatalog(context, written);
  if (elsewhere !== undefined) return { kind: 'problem', problem: elsewhere };
  if (written.schema === undefined) return resolveUnqualified(context, written);
  const closed = closedSchema(context, written.schema, written.at);
  if (closed !== undefined) return { kind: 'problem', problem: closed };
  if (isSystemSchema(written.schema)) return resolveSystem(written.schema, written);
  return inSchema(context, written.schema, written) ?? unknownRelation(context, written);
}

function resolveUnqualified(context: StatementContext, written: WrittenName): Resolved {
  const found = context.searchPath
    .map((schema) => inSchema(context, schema, written))
    .filter((one) => one !== undefined);
  const usable = found.length < 2 ? undefined : found.find((one) => mayUseSchema(context, one));
  const first = usable ?? found[0];
  if (first !== undefined) return first;
  if (written.name.startsWith('pg_')) return resolveSystem('pg_catalog', written);
  return unknownRelation(context, written);
}

/** Postgres passes over schemas that the person has no USAGE on. */
function mayUseSchema(context: StatementContext, found: Resolved): boolean {
  if (found.kind !== 'table') return true;
  return (
    context.snapshot.decide(context.principal, 'USE SCHEMA', child(context.catalog, found.schema)).effect ===
    'allow'
  );
}

function inSchema(context: StatementContext, schema: string, written: WrittenName): Resolved | undefined {
  const securable = securableOf(context.catalog, schema, written.name);
  const info = context.snapshot.catalog.tables.get(securable);
  if (info !== undefined) return { kind: 'table', info, schema, name: written.name };
  const parent = context.snapshot.catalog.partitions.get(securable);
  if (parent === undefined) return undefined;
  const problem = refused('permission_denied', `permission denied for partition ${written.name}`, {
    detail: 'a partition is read through its parent, where the rules stand',
    hint: `Read the parent ${lastPart(parent)}.`,
    on: securable,
    at: written.at,
  });
  return { kind: 'problem', problem };
}

function resolveSystem(schema: string, written: WrittenName): Resolved {
  const { name, at } = written;
  if (!closedRelations.has(name)) return { kind: 'system', schema, name };
  const detail = 'it holds secrets, or statistics of values that rules hide';
  return {
    kind: 'problem',
    problem: refused('permission_denied', `permission denied for relation ${name}`, { detail, at }),
  };
}

function unknownRelation(context: StatementContext, written: WrittenName): Resolved {
  const full = [written.schema, written.name].filter((part) => part !== undefined).join('.');
  const problem = refused('no_such_table', `relation "${full}" does not exist`, {
    detail: `the catalog ${context.catalog} knows no such relation`,
    hint: 'Names are read from the catalog; a relation made since the last discovery is not known yet.',
    at: written.at,
  });
  return { kind: 'problem', problem };
}

/** The first part of a three-part name must be this catalog, or the database that it is. */
export function otherCatalog(
  context: StatementContext,
  written: { catalog: string | undefined; at: number | undefined },
): Problem | undefined {
  if (written.catalog === undefined || written.catalog === lastPart(context.catalog)) return undefined;
  const info = context.snapshot.catalog.catalogs.get(context.catalog);
  const others = [...context.snapshot.catalog.catalogs.keys()].map(lastPart);
  if (info?.database === written.catalog && !others.includes(written.catalog)) return undefined;
  return refused('refused_on_purpose', 'cross-catalog statements are not supported', {
    detail: `this session is on ${context.catalog}, the name is in ${written.catalog}`,
    hint: `Connect with dbname=${written.catalog}.`,
    at: written.at,
  });
}

/** Writ's own schemas, temporary ones, TOAST: nobody names them. */
export function closedSchema(
  context: StatementContext,
  schema: string,
  at: number | undefined,
): Problem | undefined {
  const ours = schema === 'writ' || schema.startsWith('writ_');
  const known = context.snapshot.catalog.schemas.has(child(context.catalog, schema));
  const engines = schema.startsWith('pg_') && schema !== 'pg_catalog';
  if (!engines && (!ours || known)) return undefined;
  return refused('permission_denied', `permission denied for schema ${schema}`, {
    detail: ours
      ? 'schemas of Writ are not used by name'
      : 'temporary and TOAST schemas are not used by name',
    ...(ours ? { hint: 'Use the name of the table itself: the gateway finds the right view.' } : {}),
    at,
  });
}

export function isSystemSchema(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema';
}

/** The securable of a relation or function of this catalog; exact parts, no folding. */
export function securableOf(catalog: SecurableName, schema: string, name: string): SecurableName {
  return child(child(catalog, schema), name);
}

/** `shop.public.customers` → its schema and name. */
export function schemaAndName(name: SecurableName): readonly [string, string] {
  const parts = nameParts(name);
  return [parts[1] ?? '', parts[2] ?? ''];
}
