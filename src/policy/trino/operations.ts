import {
  administers,
  anybodyWithCatalog,
  browse,
  callProcedure,
  createIn,
  define,
  execute,
  harmlessProperty,
  ownOrAdministers,
  read,
  refuse,
  self,
  type TrinoGate,
  tableProcedure,
  write,
} from './gates.ts';

// Every operation of Trino's OPA plugin (476) and what it needs: one row each. What has no row is refused.

export interface TrinoOperation {
  readonly name: string;
  /** For people; docs/trino.md says the same. */
  readonly needs: string;
  readonly gate: TrinoGate;
  /** What is recorded: every decision, refusals only, or nothing (filters, which come by the hundred). */
  readonly record: 'all' | 'refusals' | 'nothing';
}

const row =
  (record: TrinoOperation['record']) =>
  (needs: string, gate: TrinoGate, ...names: readonly string[]): readonly TrinoOperation[] =>
    names.map((name) => ({ name, needs, gate, record }));

const acts = row('all');
const looks = row('refusals');
const filters = row('nothing');

const viewsOfTrino = refuse(
  "views of Trino's own run with their owner's rights and show rows without the reader's rules",
);
const owners = refuse('owners stand in the policy files');
const catalogs = refuse('catalogs are set by who runs Trino');
const routines = refuse('functions are not made through Trino');
const ownPath = refuse('asked at a path of its own');

export const trinoOperations: readonly TrinoOperation[] = [
  ...acts('USE CATALOG on any catalog', anybodyWithCatalog, 'ExecuteQuery'),
  ...acts('nobody but oneself', self, 'ImpersonateUser'),
  ...looks('one’s own, or MANAGE on the metastore', ownOrAdministers, 'ViewQueryOwnedBy', 'KillQueryOwnedBy'),
  ...filters('one’s own, or MANAGE on the metastore', ownOrAdministers, 'FilterViewQueryOwnedBy'),
  ...looks('MANAGE on the metastore', administers, 'ReadSystemInformation', 'WriteSystemInformation'),
  ...looks('a property on the list of harmless ones', harmlessProperty, 'SetSystemSessionProperty'),
  ...looks('nobody', refuse('session properties of a catalog stay as set'), 'SetCatalogSessionProperty'),

  ...looks('BROWSE or any privilege', browse, 'AccessCatalog', 'ShowSchemas', 'ShowTables', 'ShowColumns'),
  ...looks('BROWSE or any privilege on the schema', browse, 'ShowFunctions', 'ShowCreateSchema'),
  ...looks('SELECT', read, 'ShowCreateTable'),
  ...filters('BROWSE or any privilege', browse, 'FilterCatalogs', 'FilterSchemas', 'FilterTables'),
  ...filters('BROWSE or any privilege on the table', browse, 'FilterColumns'),

  ...acts('SELECT', read, 'SelectFromColumns'),
  ...acts('MODIFY and SELECT; no masked column', write('insert'), 'InsertIntoTable'),
  ...acts('MODIFY and SELECT; no masked column', write('update'), 'UpdateTableColumns'),
  ...acts('MODIFY and SELECT', write('delete'), 'DeleteFromTable'),
  ...acts('MODIFY and SELECT; no row filter (LAKE)', write('truncate'), 'TruncateTable'),

  ...acts('CREATE SCHEMA on the catalog (LAKE)', createIn('CREATE SCHEMA'), 'CreateSchema'),
  ...acts('MANAGE (LAKE)', define('MANAGE'), 'DropSchema', 'DropTable'),
  ...acts('MANAGE, CREATE SCHEMA (LAKE)', define('MANAGE', 'CREATE SCHEMA'), 'RenameSchema'),
  ...acts(
    'CREATE TABLE on the schema; MANAGE where the catalog has the name (LAKE)',
    createIn('CREATE TABLE'),
    'CreateTable',
  ),
  ...acts('MANAGE, CREATE TABLE on the new schema (LAKE)', define('MANAGE', 'CREATE TABLE'), 'RenameTable'),
  ...acts('MANAGE (LAKE)', define('MANAGE'), 'SetTableProperties', 'SetTableComment', 'SetColumnComment'),
  ...acts('MANAGE (LAKE)', define('MANAGE'), 'AddColumn', 'AlterColumn', 'DropColumn', 'RenameColumn'),
  ...acts('MANAGE; optimize only (LAKE)', tableProcedure, 'ExecuteTableProcedure'),

  ...acts('nobody', viewsOfTrino, 'CreateView', 'RenameView', 'DropView', 'SetViewComment'),
  ...acts('nobody', viewsOfTrino, 'CreateViewWithSelectFromColumns', 'CreateViewWithExecuteFunction'),
  ...acts('nobody', viewsOfTrino, 'CreateMaterializedView', 'RefreshMaterializedView'),
  ...acts('nobody', viewsOfTrino, 'DropMaterializedView', 'RenameMaterializedView'),
  ...acts('nobody', viewsOfTrino, 'SetMaterializedViewProperties', 'SetMaterializedViewComment'),
  ...acts('nobody', owners, 'SetSchemaAuthorization', 'SetTableAuthorization', 'SetViewAuthorization'),
  ...acts('nobody', catalogs, 'CreateCatalog', 'DropCatalog'),

  ...looks('built-in functions', execute, 'ExecuteFunction', 'ShowCreateFunction'),
  ...filters('built-in functions', execute, 'FilterFunctions'),
  ...acts('system.runtime.kill_query only', callProcedure, 'ExecuteProcedure'),
  ...acts('nobody', routines, 'CreateFunction', 'DropFunction'),

  ...looks('its own path: row-filters', ownPath, 'GetRowFilters'),
  ...looks('its own path: column-masks', ownPath, 'GetColumnMask'),
];
