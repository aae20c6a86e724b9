import type { Privilege } from '../kernel/privilege.ts';

// Which privilege is granted on what, as Unity Catalog's table of privileges by securable says it.

export type Level = 'metastore' | 'catalog' | 'schema' | 'table' | 'function' | 'column';

const above: readonly Level[] = ['schema', 'catalog'];

/** Nearest first. Volumes and models are no securables here: what they need is granted on what would contain them. */
export const grantableOn: Readonly<Record<Privilege, readonly Level[]>> = {
  'USE CATALOG': ['catalog'],
  'USE SCHEMA': above,
  BROWSE: ['catalog'],
  SELECT: ['table', ...above],
  MODIFY: ['table', ...above],
  EXECUTE: ['function', ...above],
  'CREATE SCHEMA': ['catalog'],
  'CREATE TABLE': above,
  'CREATE FUNCTION': above,
  'CREATE MATERIALIZED VIEW': above,
  'CREATE VOLUME': above,
  'CREATE MODEL': above,
  'READ VOLUME': above,
  'WRITE VOLUME': above,
  REFRESH: ['table', ...above],
  'APPLY TAG': ['table', ...above],
  MANAGE: ['table', 'function', ...above],
  'ALL PRIVILEGES': ['table', 'function', ...above],
  'EXTERNAL USE SCHEMA': ['schema'],
  'CREATE CATALOG': ['metastore'],
};

const plural: Readonly<Record<Level, string>> = {
  metastore: 'the metastore',
  catalog: 'catalogs',
  schema: 'schemas',
  table: 'tables',
  function: 'functions',
  column: 'columns',
};

/** `tables, schemas and catalogs` */
export function grantableWhere(privilege: Privilege): string {
  const places = grantableOn[privilege].map((level) => plural[level]);
  const last = places.pop() ?? '';
  return places.length === 0 ? last : `${places.join(', ')} and ${last}`;
}
