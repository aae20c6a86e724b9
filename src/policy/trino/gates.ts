import type { Decision } from '../../kernel/decision.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import type { Privilege } from '../../kernel/privilege.ts';
import { metastore, type SecurableName } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../model.ts';
import { tablesBeneath } from '../tables-beneath.ts';
import { columnsNamed, type TrinoNames, type TrinoPlace } from './names.ts';
import type { TrinoResource } from './request.ts';

// What an operation of Trino's asks of the policy. Each gate answers with a decision; what it cannot place is refused.

export interface TrinoQuestion {
  readonly snapshot: Snapshot;
  readonly names: TrinoNames;
  readonly principal: PrincipalName;
  readonly resource: TrinoResource;
  readonly target: TrinoResource | undefined;
}

export type TrinoGate = (question: TrinoQuestion) => Decision;

const allowed: Decision = { effect: 'allow', because: [] };

export function refusal(rule: string, on?: SecurableName): Decision {
  return { effect: 'deny', because: [{ kind: 'refused', rule, ...(on === undefined ? {} : { on }) }] };
}

export function refuse(rule: string): TrinoGate {
  return () => refusal(rule);
}

const misplaced = refusal('the request lacks the resource that the operation is about');
const unknown = (on: SecurableName) => refusal('not in the catalog', on);

/** Where the question's resource lies, whatever its kind; undefined when it names none. */
export function placeOf({ names }: TrinoQuestion, resource: TrinoResource): TrinoPlace | undefined {
  const { catalog, schema, table, column, function: routine } = resource;
  if (catalog !== undefined) return names.catalog(catalog.name);
  if (schema !== undefined) return names.schema(schema.catalogName, schema.schemaName);
  const relation = table ?? column;
  if (relation !== undefined)
    return names.table(relation.catalogName, relation.schemaName, relation.tableName);
  if (routine?.catalogName === undefined || routine.schemaName === undefined) return undefined;
  return names.schema(routine.catalogName, routine.schemaName);
}

/** Whoever may use any catalog at all. */
export const anybodyWithCatalog: TrinoGate = ({ snapshot, principal }) => {
  for (const on of snapshot.catalog.catalogs.keys()) {
    const decision = snapshot.decide(principal, 'USE CATALOG', on);
    if (decision.effect === 'allow') return decision;
  }
  return refusal('no USE CATALOG on any catalog');
};

export const administers: TrinoGate = ({ snapshot, principal }) =>
  snapshot.decide(principal, 'MANAGE', metastore);

/** One's own queries; everybody's for who manages the metastore. */
export const ownOrAdministers: TrinoGate = (question) =>
  question.resource.user === undefined ? misplaced : isSelf(question) ? allowed : administers(question);

export const self: TrinoGate = (question) =>
  isSelf(question) ? allowed : refusal('nobody acts as somebody else through Trino');

function isSelf({ resource, principal }: TrinoQuestion): boolean {
  const user = resource.user?.user;
  return user === principal || (user?.includes('@') === true && user.toLowerCase() === principal);
}

/** Session properties of Trino's that change how a query runs, never what it may see, and cost nobody else anything. */
const harmlessProperties: ReadonlySet<string> = new Set([
  'join_distribution_type',
  'join_reordering_strategy',
  'query_max_run_time',
  'query_max_execution_time',
  'query_max_planning_time',
  'query_max_cpu_time',
]);

export const harmlessProperty: TrinoGate = ({ resource }) =>
  harmlessProperties.has(resource.systemSessionProperty?.name ?? '')
    ? allowed
    : refusal('a session property that is not on the list of harmless ones');

/** Tables of Trino's own catalog for everybody: Trino filters their rows by what it asks us. */
const ownTables: ReadonlySet<string> = new Set([
  ...[
    'attributes',
    'catalogs',
    'columns',
    'procedure_columns',
    'procedures',
    'pseudo_columns',
    'schemas',
    'super_tables',
    'super_types',
    'table_types',
    'tables',
    'types',
    'udts',
  ].map((table) => `jdbc.${table}`),
  ...['analyze_properties', 'catalogs', 'column_properties', 'schema_properties', 'table_comments'].map(
    (table) => `metadata.${table}`,
  ),
  'metadata.table_properties',
  'runtime.queries',
]);

const informationTables: ReadonlySet<string> = new Set([
  'applicable_roles',
  'columns',
  'enabled_roles',
  'role_authorization_descriptors',
  'roles',
  'schemata',
  'table_privileges',
  'tables',
  'views',
]);

/** Whether a table of Trino's own making is among those that anybody may read. */
export function isOpenTable(place: TrinoPlace): boolean {
  if (place.kind === 'information-schema')
    return place.table !== undefined && informationTables.has(place.table);
  if (place.kind !== 'own' || place.table === undefined) return false;
  return place.schema === 'information_schema'
    ? informationTables.has(place.table)
    : ownTables.has(`${place.schema}.${place.table}`);
}

/** May know that it exists: BROWSE, or any privilege on it. */
export const browse: TrinoGate = (question) => {
  const place = placeOf(question, question.resource);
  const { snapshot, principal } = question;
  switch (place?.kind) {
    case undefined:
      return misplaced;
    case 'unknown':
      return unknown(place.on);
    case 'governed':
      return snapshot.decide(principal, 'BROWSE', place.on);
    case 'information-schema':
      return place.table === undefined || isOpenTable(place)
        ? snapshot.decide(principal, 'BROWSE', place.catalog)
        : unknown(place.catalog);
    case 'own':
      if (place.table !== undefined && !isOpenTable(place)) return administers(question);
      return anybodyWithCatalog(question);
  }
};

/** The three gates of SELECT. A view of the database is let through only where no rule binds beneath it. */
export const read: TrinoGate = (question) => {
  const place = placeOf(question, question.resource);
  if (place?.kind !== 'governed') return browse(question);
  const { snapshot, principal } = question;
  const decision = snapshot.decide(principal, 'SELECT', place.on);
  if (decision.effect === 'deny' || place.info === undefined) return decision;
  const beneath = tablesBeneath(snapshot, place.info);
  if (beneath === undefined) return refusal('what the view reads is not known', place.on);
  const rules = beneath.map((table) => ({ table, bound: snapshot.boundRules(principal, table) }));
  const isView = place.info.kind === 'VIEW' || place.info.kind === 'MATERIALIZED_VIEW';
  const hidden = rules.find(({ bound }) => bound.filters.length > 0 || bound.masks.size > 0);
  if (isView && hidden !== undefined)
    return refusal(`the view would show ${hidden.table} without its rules`, place.on);
  return { effect: 'allow', because: [...decision.because, ...rules.flatMap(({ bound }) => bound.reasons)] };
};

export type Write = 'insert' | 'update' | 'delete' | 'truncate';

/** MODIFY, which needs SELECT. Masked columns are not written by who sees them masked. */
export function write(kind: Write): TrinoGate {
  return (question) => {
    const place = placeOf(question, question.resource);
    if (place?.kind === 'unknown') return unknown(place.on);
    if (place?.kind !== 'governed' || place.info === undefined) return refusal('it cannot be written');
    const { kind: relation } = place.info;
    if (relation === 'VIEW' || relation === 'MATERIALIZED_VIEW')
      return refusal('views are not written', place.on);
    const { snapshot, principal } = question;
    const decision = snapshot.decide(principal, 'MODIFY', place.on);
    if (decision.effect === 'deny') return decision;
    const bound = snapshot.boundRules(principal, place.on);
    if (kind === 'truncate' && place.catalog.kind === 'POSTGRES')
      return refusal('TRUNCATE is never granted in a POSTGRES catalog', place.on);
    if (kind === 'truncate' && bound.filters.length > 0)
      return refusal('TRUNCATE would remove rows that a row filter hides', place.on);
    const info = place.info;
    const written =
      kind === 'update'
        ? (question.resource.table?.columns ?? []).flatMap((name) => columnsNamed(info, name))
        : kind === 'insert'
          ? info.columns
          : [];
    if (written.some((column) => bound.masks.has(column.name)))
      return refusal('a masked column is not written by who sees it masked', place.on);
    return decision;
  };
}

const elsewhere = 'definitions of a POSTGRES catalog change in its own database, not through Trino';

/** A right over a thing that stands in the catalog; `rename` asks the target's schema for the right to create too. */
export function define(privilege: Privilege, rename?: Privilege): TrinoGate {
  return (question) => {
    const place = placeOf(question, question.resource);
    if (place?.kind === 'unknown') return unknown(place.on);
    if (place?.kind !== 'governed') return refusal('it is not ours to change');
    if (place.catalog.kind === 'POSTGRES') return refusal(elsewhere, place.on);
    const decision = question.snapshot.decide(question.principal, privilege, place.on);
    if (decision.effect === 'deny' || rename === undefined) return decision;
    const renamed = createIn(rename)({ ...question, resource: question.target ?? {} });
    return renamed.effect === 'deny'
      ? renamed
      : { effect: 'allow', because: [...decision.because, ...renamed.because] };
  };
}

/**
 * A right to create, asked of what will contain the new thing. A name that the catalog has already is its manager's:
 * another table's files under that name would be read by that name's rules.
 */
export function createIn(privilege: Privilege): TrinoGate {
  return (question) => {
    const { schema, table } = question.resource;
    const { names, snapshot, principal } = question;
    const parent =
      table !== undefined
        ? names.schema(table.catalogName, table.schemaName)
        : schema !== undefined
          ? names.catalog(schema.catalogName)
          : undefined;
    if (parent?.kind === 'unknown') return unknown(parent.on);
    if (parent?.kind !== 'governed') return refusal('nothing is created there');
    if (parent.catalog.kind === 'POSTGRES') return refusal(elsewhere, parent.on);
    const known = table === undefined ? undefined : placeOf(question, { table });
    if (known?.kind === 'governed') {
      const manages = snapshot.decide(principal, 'MANAGE', known.on);
      if (manages.effect === 'deny') return manages;
    }
    return snapshot.decide(principal, privilege, parent.on);
  };
}

/** Built-in functions are everybody's. A connector's own (`query`, `execute`, …) pass text to the source, past every rule. */
export const execute: TrinoGate = (question) => {
  const place = placeOf(question, question.resource);
  if (place?.kind === 'own' && place.schema === 'builtin') return allowed;
  return refusal('functions of a connector reach the source past the rules');
};

/** `kill_query` asks for KillQueryOwnedBy itself. Everything else acts on a source. */
export const callProcedure: TrinoGate = (question) => {
  const place = placeOf(question, question.resource);
  const isKill = question.resource.function?.functionName === 'kill_query';
  return place?.kind === 'own' && place.schema === 'runtime' && isKill
    ? allowed
    : refusal('procedures of a connector reach the source past the rules');
};

/** `optimize` rewrites what is there; other table procedures drop history or bring files in from anywhere. */
export const tableProcedure: TrinoGate = (question) =>
  question.resource.function?.functionName.toLowerCase() === 'optimize'
    ? define('MANAGE')(question)
    : refusal('of table procedures only optimize is let through');
