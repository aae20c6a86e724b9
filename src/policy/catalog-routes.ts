import { z } from 'zod';
import type { TableInfo } from '../catalog/model.ts';
import { catalogToJson } from '../catalog/snapshot-json.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { type Route, route } from '../kernel/route.ts';
import {
  child,
  isWithin,
  metastore,
  nameParts,
  parseSecurableName,
  type SecurableName,
} from '../kernel/securable-name.ts';
import type { Snapshot } from './model.ts';

// The read side of the catalog, as each caller may see it: a securable shows itself to those who hold BROWSE, MANAGE,
// or any right that reaches it. Our own shapes under /api/v1/catalog, Unity Catalog's under its path.

export interface CatalogRouteOptions {
  readonly currentSnapshot: () => Snapshot;
}

const unity = '/api/2.1/unity-catalog';
const signedIn = { kind: 'signed-in' } as const;
const anything = z.unknown();

export function catalogRoutes({ currentSnapshot }: CatalogRouteOptions): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/api/v1/whoami',
      summary: 'Who the gateway takes you for',
      input: z.object({}),
      output: anything,
      requires: signedIn,
      run: async (_input, caller) => ({
        principal: caller.principal,
        credential: caller.credential,
        groups: [...currentSnapshot().groupsOf(caller.principal)],
      }),
    }),
    route({
      method: 'get',
      path: '/api/v1/catalog',
      summary: 'Catalogs, or what is directly below a name',
      input: z.object({ name: z.string().optional() }),
      output: anything,
      requires: signedIn,
      run: async (input, caller) => ({
        securables: list(
          currentSnapshot(),
          caller.principal,
          input.name === undefined ? undefined : parseSecurableName(input.name),
        ),
      }),
    }),
    route({
      method: 'get',
      path: '/api/v1/catalog/describe',
      summary: 'Columns, tags, filters and masks of a securable',
      input: z.object({ name: z.string() }),
      output: anything,
      requires: signedIn,
      run: async (input, caller) =>
        describe(currentSnapshot(), caller.principal, parseSecurableName(input.name)),
    }),
    route({
      method: 'get',
      path: '/api/v1/catalog/export',
      summary: 'Everything that exists, for checking policy files elsewhere',
      input: z.object({}),
      output: anything,
      requires: { kind: 'privilege', privilege: 'MANAGE', on: () => metastore },
      run: async () => catalogToJson(currentSnapshot().catalog),
    }),
    ...unityRoutes(currentSnapshot),
  ];
}

/** Unity Catalog's pagination: taken, and answered with one page. */
const page = { max_results: z.string().optional(), page_token: z.string().optional() };

function unityRoutes(currentSnapshot: () => Snapshot): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${unity}/catalogs`,
      summary: 'listCatalogs',
      input: z.object(page),
      output: anything,
      requires: signedIn,
      run: async (_input, caller) => ({
        catalogs: list(currentSnapshot(), caller.principal, undefined).map(catalogInfo),
        next_page_token: null,
      }),
    }),
    route({
      method: 'get',
      path: `${unity}/catalogs/{name}`,
      summary: 'getCatalog',
      input: z.object({ name: z.string() }),
      output: anything,
      requires: signedIn,
      run: async (input, caller) =>
        catalogInfo(one(currentSnapshot(), caller.principal, parseSecurableName(input.name))),
    }),
    route({
      method: 'get',
      path: `${unity}/schemas`,
      summary: 'listSchemas',
      input: z.object({ catalog_name: z.string(), ...page }),
      output: anything,
      requires: signedIn,
      run: async (input, caller) => ({
        schemas: list(currentSnapshot(), caller.principal, parseSecurableName(input.catalog_name)).map(
          schemaInfo,
        ),
        next_page_token: null,
      }),
    }),
    ...unityTableRoutes(currentSnapshot),
  ];
}

function unityTableRoutes(currentSnapshot: () => Snapshot): readonly Route[] {
  return [
    route({
      method: 'get',
      path: `${unity}/tables`,
      summary: 'listTables',
      input: z.object({ catalog_name: z.string(), schema_name: z.string(), ...page }),
      output: anything,
      requires: signedIn,
      run: async (input, caller) => {
        const snapshot = currentSnapshot();
        const schema = child(parseSecurableName(input.catalog_name), input.schema_name);
        const tables = list(snapshot, caller.principal, schema).flatMap(
          (row) => snapshot.catalog.tables.get(row.name) ?? [],
        );
        return { tables: tables.map((table) => tableInfo(snapshot, table)), next_page_token: null };
      },
    }),
    route({
      method: 'get',
      path: `${unity}/tables/{full_name}`,
      summary: 'getTable',
      input: z.object({ full_name: z.string() }),
      output: anything,
      requires: signedIn,
      run: async (input, caller) => {
        const snapshot = currentSnapshot();
        const name = parseSecurableName(input.full_name);
        const table = snapshot.catalog.tables.get(one(snapshot, caller.principal, name).name);
        if (table === undefined) throw notFound(name);
        return tableInfo(snapshot, table);
      },
    }),
  ];
}

interface SecurableRow {
  readonly name: SecurableName;
  readonly kind: string;
  readonly owner?: string;
}

/** Directly below `parent` (catalogs where it is undefined), what the caller may see. @throws not_found */
export function list(
  snapshot: Snapshot,
  principal: PrincipalName,
  parent: SecurableName | undefined,
): readonly SecurableRow[] {
  if (parent !== undefined) one(snapshot, principal, parent);
  return rowsBelow(snapshot, parent).filter((row) => sees(snapshot, principal, row.name));
}

function rowsBelow(snapshot: Snapshot, parent: SecurableName | undefined): readonly SecurableRow[] {
  const { catalogs, schemas, tables } = snapshot.catalog;
  const row = (name: SecurableName, kind: string): SecurableRow => {
    const owner = snapshot.owner(name);
    return { name, kind, ...(owner === undefined ? {} : { owner }) };
  };
  if (parent === undefined)
    return [...catalogs.values()].map((info) => row(info.name, `${info.kind} CATALOG`));
  const below = (name: SecurableName) =>
    isWithin(name, parent) && nameParts(name).length === nameParts(parent).length + 1;
  return [
    ...[...schemas].filter(below).map((name) => row(name, 'SCHEMA')),
    ...[...tables.values()].filter((table) => below(table.name)).map((table) => row(table.name, table.kind)),
  ];
}

function one(snapshot: Snapshot, principal: PrincipalName, name: SecurableName): SecurableRow {
  const parts = nameParts(name);
  const parent =
    parts.length === 1
      ? undefined
      : parseSecurableName(
          parts
            .slice(0, -1)
            .map((part) => `"${part.replaceAll('"', '""')}"`)
            .join('.'),
        );
  const found = rowsBelow(snapshot, parent).find((row) => row.name === name);
  if (found === undefined || !sees(snapshot, principal, name)) throw notFound(name);
  return found;
}

/** Absent and hidden look alike. */
function notFound(name: SecurableName): WritError {
  return new WritError('not_found', { message: `there is no ${name}, or you may not see it` });
}

/** BROWSE, MANAGE or SELECT on it, or on something below it. */
function sees(snapshot: Snapshot, principal: PrincipalName, name: SecurableName): boolean {
  const may = (on: SecurableName) =>
    (['BROWSE', 'MANAGE', 'SELECT'] as const).some(
      (privilege) => snapshot.decide(principal, privilege, on).effect === 'allow',
    );
  if (may(name)) return true;
  const isTable = snapshot.catalog.tables.has(name);
  return !isTable && [...snapshot.catalog.tables.keys()].some((table) => isWithin(table, name) && may(table));
}

function describe(snapshot: Snapshot, principal: PrincipalName, name: SecurableName): object {
  const row = one(snapshot, principal, name);
  const table = snapshot.catalog.tables.get(name);
  const rules = snapshot.tableRules(name);
  const bound = snapshot.boundRules(principal, name);
  return {
    ...row,
    tags: Object.fromEntries(snapshot.tags(name)),
    filters: (rules?.filters ?? []).map(
      (rule) =>
        `${rule.policy}${bound.filters.some((each) => each.policy === rule.policy) ? ' (binds you)' : ''}`,
    ),
    columns: (table?.columns ?? []).map((column) => ({
      name: column.name,
      type: column.engineType,
      nullable: column.nullable,
      tags: Object.fromEntries(snapshot.tags(child(name, column.name))),
      masks: (rules?.masks ?? [])
        .filter((rule) => rule.column === column.name)
        .map(
          (rule) =>
            `${rule.policy}${bound.masks.get(column.name)?.policy === rule.policy ? ' (binds you)' : ''}`,
        ),
    })),
  };
}

function catalogInfo(row: SecurableRow): object {
  return { name: row.name, owner: row.owner ?? null, catalog_type: row.kind };
}

function schemaInfo(row: SecurableRow): object {
  const [catalog_name, name] = nameParts(row.name);
  return { name, catalog_name, full_name: row.name, owner: row.owner ?? null };
}

const tableTypes: Record<TableInfo['kind'], string> = {
  TABLE: 'MANAGED',
  PARTITIONED_TABLE: 'MANAGED',
  VIEW: 'VIEW',
  MATERIALIZED_VIEW: 'MATERIALIZED_VIEW',
  FOREIGN_TABLE: 'FOREIGN',
};

function tableInfo(snapshot: Snapshot, table: TableInfo): object {
  const [catalog_name, schema_name, name] = nameParts(table.name);
  return {
    name,
    catalog_name,
    schema_name,
    full_name: table.name,
    table_type: tableTypes[table.kind],
    owner: snapshot.owner(table.name) ?? null,
    columns: table.columns.map((column) => ({
      name: column.name,
      type_text: column.engineType,
      type_name: column.type.toUpperCase(),
      position: column.position - 1,
      nullable: column.nullable,
    })),
  };
}
