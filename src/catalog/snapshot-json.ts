import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import { parseSecurableName } from '../kernel/securable-name.ts';
import type { CatalogSnapshot } from './model.ts';

// A catalog as JSON: what `writ catalog export` prints, what an instance keeps as the last good one, and what `writ
// policy lint --catalog` reads where no instance runs.

/** Plain data for JSON.stringify; `catalogFromJson` reads it back. */
export function catalogToJson(snapshot: CatalogSnapshot): object {
  const { catalogs, schemas, tables, functions, partitions, digest } = snapshot;
  return {
    catalogs: [...catalogs],
    schemas: [...schemas],
    tables: [...tables],
    functions: [...functions],
    partitions: [...partitions],
    digest,
  };
}

/** Reads what `catalogToJson` wrote. @throws invalid_argument with the first place that does not fit */
export function catalogFromJson(value: unknown): CatalogSnapshot {
  const read = snapshotShape.safeParse(value);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new WritError('invalid_argument', {
      message: 'this is no exported catalog',
      detail: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unreadable'}`,
      hint: 'make one with `writ catalog export --out FILE`',
    });
  }
  // Checked just above; fields that a newer Writ added are kept as they are.
  const kept = read.data as unknown as {
    readonly [K in Exclude<keyof CatalogSnapshot, 'digest'>]: CatalogSnapshot[K] extends ReadonlyMap<
      infer Name,
      infer Info
    >
      ? readonly [Name, Info][]
      : CatalogSnapshot[K] extends ReadonlySet<infer Name>
        ? readonly Name[]
        : never;
  };
  return {
    catalogs: new Map(kept.catalogs),
    schemas: new Set(kept.schemas),
    tables: new Map(kept.tables),
    functions: new Map(kept.functions),
    partitions: new Map(kept.partitions),
    digest: read.data.digest,
  };
}

const name = z.string().refine(isCanonical, 'not a canonical securable name');
const texts = z.array(z.string()).optional();

const catalog = z.looseObject({
  name,
  kind: z.enum(['POSTGRES', 'LAKE', 'SYSTEM']),
  cluster: z.string().optional(),
  database: z.string().optional(),
  location: z.string().optional(),
});

const column = z.looseObject({
  name: z.string().min(1),
  type: z.enum([
    'text',
    'integer',
    'bigint',
    'numeric',
    'double',
    'boolean',
    'date',
    'timestamp',
    'timestamptz',
    'uuid',
    'other',
  ]),
  engineType: z.string(),
  position: z.int(),
  nullable: z.boolean(),
  generated: z.boolean(),
});

const cascade = z.looseObject({ constraint: z.string(), table: name, actions: z.array(z.string()) });

const table = z.looseObject({
  name,
  kind: z.enum(['TABLE', 'PARTITIONED_TABLE', 'VIEW', 'MATERIALIZED_VIEW', 'FOREIGN_TABLE']),
  columns: z.array(column),
  engineOwner: z.string().optional(),
  oid: z.number().optional(),
  definition: z.string().optional(),
  reads: z.array(name).optional(),
  files: texts,
  sequences: z.array(name).optional(),
  rowsEstimate: z.number().optional(),
  comment: z.string().optional(),
  triggers: texts,
  cascades: z.array(cascade).optional(),
});

const fn = z.looseObject({
  name,
  signature: z.string(),
  kind: z.enum(['FUNCTION', 'PROCEDURE', 'AGGREGATE', 'WINDOW']),
  securityDefiner: z.boolean(),
  engineOwner: z.string(),
});

const snapshotShape = z.object({
  catalogs: z.array(z.tuple([name, catalog])),
  schemas: z.array(name),
  tables: z.array(z.tuple([name, table])),
  functions: z.array(z.tuple([name, z.array(fn)])),
  partitions: z.array(z.tuple([name, name])),
  digest: z.string(),
});

function isCanonical(text: string): boolean {
  try {
    return parseSecurableName(text) === text;
  } catch {
    return false;
  }
}
