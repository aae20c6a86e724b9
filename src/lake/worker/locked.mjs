import { DuckDBInstance } from '@duckdb/node-api';

// One locked-down DuckDB. The order matters: what the lock needs is set before it, nothing can be set after it.

const quote = (text) => `'${String(text).replaceAll("'", "''")}'`;
const identifier = (name) => `"${String(name).replaceAll('"', '""')}"`;

/**
 * @typedef {object} LockConfig
 * @property {string[]} directories the only folders whose files can be opened
 * @property {string} temporary folder for what does not fit into memory
 * @property {string} memory
 * @property {string} temporarySize
 * @property {number} threads
 * @property {string} database name of the one attached in-memory database, where governed views stand
 * @property {string[]} schemas
 * @property {{ inner: string, outer: string } | undefined} tokenKey blocks of the key of token(), in hex
 * @property {Record<string, string>} answers functions without arguments that tell who and where: name → text
 */

export async function openUnlocked() {
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_unsigned_extensions: 'false',
  });
  // A first statement loads the parser, ICU and JSON, so that the first client does not wait for them.
  const connection = await instance.connect();
  await connection.run(`select json_serialize_sql('select 1'), timestamptz '2000-01-01 00:00:00+00'`);
  return { instance, connection };
}

/**
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {LockConfig} config
 */
export async function lock(connection, config) {
  const run = (text) => connection.run(text);
  await run(`attach ':memory:' as ${identifier(config.database)}`);
  for (const schema of config.schemas) {
    await run(`create schema if not exists ${identifier(config.database)}.${identifier(schema)}`);
  }
  for (const [name, answer] of Object.entries(config.answers)) {
    await run(`create macro ${identifier(config.database)}.main.${identifier(name)}() as ${quote(answer)}`);
  }
  await keepTokenKey(connection, config.tokenKey);
  await run(`set global timezone = 'UTC'`);
  await run(`set global memory_limit = ${quote(config.memory)}`);
  await run(`set global threads = ${Number(config.threads)}`);
  await run(`set global temp_directory = ${quote(config.temporary)}`);
  await run(`set global max_temp_directory_size = ${quote(config.temporarySize)}`);
  await run('set global parquet_metadata_cache = true');
  await run(`set global allowed_directories = [${config.directories.map(quote).join(', ')}]`);
  await run('set global enable_external_access = false');
  await run('set global lock_configuration = true');
}

/**
 * In the database that every DuckDB begins with: no catalog is called so, hence no statement that was let through names
 * it. Parameters: the key stands in no text.
 */
async function keepTokenKey(connection, key) {
  if (key === undefined) return;
  await connection.run('create schema memory.writ');
  await connection.run('create table memory.writ.token_key (inner_block blob, outer_block blob)');
  const insert = await connection.prepare(
    'insert into memory.writ.token_key values (from_hex($1), from_hex($2))',
  );
  insert.bindVarchar(1, key.inner);
  insert.bindVarchar(2, key.outer);
  await insert.run();
}

/** Unqualified names: the catalog's schemas in their order, then the answers. @param {LockConfig} config */
export function searchPath(config) {
  const database = identifier(config.database);
  const schemas = [...config.schemas, 'main'].map((schema) => `${database}.${identifier(schema)}`);
  return `set search_path = ${quote(schemas.join(','))}`;
}
