import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import type { FunctionInfo, TableInfo } from '../catalog/model.ts';
import { toWritError } from '../kernel/errors.ts';
import { lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import {
  dollarQuoted,
  identifier,
  join,
  literal,
  qualified,
  type Sql,
  sql,
  trustedSql,
} from '../kernel/sql.ts';
import { connected, executeOne } from './application-client.ts';

// A database as an application would have it, made from a catalog's description and the rows of tests. Everything
// belongs to a role of its own, as the application's does; nothing here knows of policies.

export interface ScratchDatabase {
  readonly name: string;
  readonly schemas: readonly SecurableName[];
  readonly tables: readonly {
    readonly info: TableInfo;
    readonly rows: readonly Readonly<Record<string, unknown>>[];
  }[];
  /** In an order in which each can be made. */
  readonly views: readonly TableInfo[];
  readonly functions: readonly FunctionInfo[];
}

const application = 'scratch_app';

/** The application's role, and roles that policies name. @returns the application's password */
export async function makeScratchRoles(adminUrl: string, roles: readonly string[]): Promise<string> {
  const password = randomBytes(18).toString('base64url');
  await connected(adminUrl, 'writ policy test', async (admin) => {
    await executeOne(admin, sql`create role ${identifier(application)} login password ${literal(password)}`);
    for (const role of roles) await executeOne(admin, sql`create role ${identifier(role)} nologin`);
  });
  return password;
}

/** @returns what could not be made, in words: a view that calls functions which are not there. */
export async function makeScratchDatabase(
  adminUrl: string,
  password: string,
  database: ScratchDatabase,
): Promise<readonly string[]> {
  await connected(adminUrl, 'writ policy test', (admin) =>
    executeOne(
      admin,
      sql`create database ${identifier(database.name)} owner ${identifier(application)} template template0`,
    ),
  );
  const url = new URL(adminUrl);
  url.username = application;
  url.password = password;
  url.pathname = `/${encodeURIComponent(database.name)}`;
  return connected(url.href, 'writ policy test', (client) => fill(client, database));
}

async function fill(client: Client, database: ScratchDatabase): Promise<readonly string[]> {
  const problems: string[] = [];
  await executeOne(client, sql`set synchronous_commit = off`);
  for (const schema of database.schemas)
    await executeOne(client, sql`create schema if not exists ${identifier(lastPart(schema))}`);
  for (const { info, rows } of database.tables) await makeTable(client, info, rows);
  for (const info of database.functions)
    await attempt(problems, `function ${info.name}`, () => makeFunction(client, info));
  for (const view of database.views)
    await attempt(problems, `view ${view.name}`, () => makeView(client, view));
  return problems;
}

async function attempt(problems: string[], what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const because = thrown instanceof Error ? thrown.message : toWritError(thrown).message;
    problems.push(`${what} is not there: ${because}`);
  }
}

/** Columns by name and type alone: what rows leave out is NULL, and no constraint or trigger asks for other tables. */
async function makeTable(
  client: Client,
  info: TableInfo,
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const table = qualified(...nameParts(info.name).slice(1));
  const columns: Sql[] = [];
  for (const { name, engineType } of info.columns) {
    // A type that only the application's database has (an enum, an extension's) is text here.
    const known = await client.query<{ is: string | null }>('select to_regtype($1)::text as is', [
      engineType,
    ]);
    const type = known.rows[0]?.is === null ? sql`text` : trustedSql(engineType, 'catalog');
    columns.push(sql`${identifier(name)} ${type}`);
  }
  await executeOne(client, sql`create table ${table} (${join(columns)})`);
  if (rows.length === 0) return;
  await client.query(
    sql`insert into ${table} select * from json_populate_recordset(null::${table}, $1)`.text,
    [JSON.stringify(rows)],
  );
}

async function makeView(client: Client, { name, kind, definition = '' }: TableInfo): Promise<void> {
  const view = qualified(...nameParts(name).slice(1));
  const body = trustedSql(definition.trim().replace(/;$/, ''), 'catalog');
  if (kind === 'VIEW') await executeOne(client, sql`create view ${view} as ${body}`);
  else await executeOne(client, sql`create materialized view ${view} as ${body}`);
}

/** One that does nothing: policies may name it, tests of rows do not call it. */
async function makeFunction(client: Client, { name, signature }: FunctionInfo): Promise<void> {
  const fn = qualified(...nameParts(name).slice(1));
  const body = dollarQuoted(sql`begin end`);
  await executeOne(
    client,
    sql`create function ${fn}(${trustedSql(signature, 'catalog')}) returns void language plpgsql as ${body}`,
  );
}
