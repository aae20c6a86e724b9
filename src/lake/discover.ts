import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ColumnInfo, Discovered, TableInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import { child, type SecurableName } from '../kernel/securable-name.ts';
import { literal, sql } from '../kernel/sql.ts';
import { portableType } from './system-catalog.ts';

/**
 * What lies below a lake location: `schema/table/*.parquet`. Columns are read from the Parquet files' own schema, by
 * nobody's request but the operator's. Folders without Parquet files are no tables.
 * @throws unreachable when the location cannot be read
 */
export async function discoverLake(catalog: SecurableName, location: string): Promise<Discovered> {
  const instance = await DuckDBInstance.create(':memory:', { autoload_known_extensions: 'false' });
  const connection = await instance.connect();
  try {
    const schemas: SecurableName[] = [];
    const tables: TableInfo[] = [];
    for (const schema of folders(location)) {
      const schemaName = child(catalog, schema);
      schemas.push(schemaName);
      for (const table of folders(join(location, schema))) {
        const pattern = join(schema, table, '*.parquet');
        if (!hasParquet(join(location, schema, table))) continue;
        const described = await connection.runAndReadAll(
          sql`describe select * from read_parquet(${literal(join(location, pattern))}, hive_partitioning = false)`
            .text,
        );
        tables.push({
          name: child(schemaName, table),
          kind: 'TABLE',
          columns: described.getRowObjects().map(columnOf),
          files: [pattern],
        });
      }
    }
    return { schemas, tables, functions: [], partitions: [] };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function columnOf(row: Record<string, unknown>, i: number): ColumnInfo {
  const engineType = String(row['column_type']);
  return {
    name: String(row['column_name']),
    type: portableType(engineType),
    engineType,
    position: i + 1,
    nullable: row['null'] !== 'NO',
    generated: false,
  };
}

function folders(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
  } catch (cause) {
    throw new WritError('unreachable', { message: `the folder of a lake catalog cannot be read`, cause });
  }
}

function hasParquet(path: string): boolean {
  return readdirSync(path).some((name) => name.endsWith('.parquet'));
}
