import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { TableInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import { lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { join as joinSql, literal, sql, trustedSql, wideIdentifier } from '../kernel/sql.ts';

type Row = Readonly<Record<string, unknown>>;

/** Writes `<location>/schema/table/rows.parquet` for each table, with the columns and types of the catalog. */
export async function fillScratchLake(
  location: string,
  schemas: readonly SecurableName[],
  tables: readonly { readonly info: TableInfo; readonly rows: readonly Row[] }[],
): Promise<void> {
  for (const schema of schemas)
    mkdirSync(within(location, lastPart(schema)), { recursive: true, mode: 0o700 });
  const instance = await DuckDBInstance.create(':memory:', { autoload_known_extensions: 'false' });
  const connection = await instance.connect();
  try {
    await lock(connection, location);
    for (const { info, rows } of tables) {
      const [, schema = '', table = ''] = nameParts(info.name);
      const folder = within(location, schema, table);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const draft = join(folder, 'rows.json');
      writeFileSync(draft, JSON.stringify(rows));
      const columns = joinSql(
        info.columns.map(
          ({ name, engineType }) => sql`${wideIdentifier(name)} ${trustedSql(engineType, 'catalog')}`,
        ),
      );
      const types = joinSql(
        info.columns.map(({ name, engineType }) => sql`${literal(name)}: ${literal(engineType)}`),
      );
      await connection.run(sql`create or replace table scratch (${columns})`.text);
      if (rows.length > 0)
        await connection.run(
          sql`insert into scratch by name select * from read_json(${literal(draft)}, format = 'array', columns = {${types}})`
            .text,
        );
      const file = literal(join(folder, 'rows.parquet'));
      await connection.run(sql`copy scratch to ${file} (format parquet)`.text);
      rmSync(draft);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Types are the catalog's text, which may come from a file that anybody wrote: they reach nothing outside. */
async function lock(connection: DuckDBConnection, location: string): Promise<void> {
  await connection.run(sql`set allowed_directories = [${literal(location)}]`.text);
  await connection.run(sql`set enable_external_access = false`.text);
  await connection.run(sql`set lock_configuration = true`.text);
}

/** @throws invalid_name for a name that is no folder: `..`, `a/b` */
function within(location: string, ...names: readonly string[]): string {
  const odd = names.find((name) => name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name));
  if (odd === undefined) return join(location, ...names);
  throw new WritError('invalid_name', {
    message: `${JSON.stringify(odd)} is the name of no folder: a lake holds no such schema or table`,
  });
}
