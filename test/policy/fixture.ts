import { createHash } from 'node:crypto';
import type {
  CatalogInfo,
  CatalogKind,
  CatalogSnapshot,
  ColumnInfo,
  ColumnType,
  TableInfo,
  TableKind,
} from '../../src/catalog/model.ts';
import { type PrincipalName, parsePrincipalName } from '../../src/kernel/principal.ts';
import { nameParts, parseSecurableName, type SecurableName } from '../../src/kernel/securable-name.ts';

// The sample company's catalogs as literal values, as discovery would find them.

const engineTypes: Record<ColumnType, string> = {
  text: 'text',
  integer: 'integer',
  bigint: 'bigint',
  numeric: 'numeric(12,2)',
  double: 'double precision',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  uuid: 'uuid',
  other: 'jsonb',
};

/** `table('shop.public.t', { id: 'bigint' })`: columns in the order of the record, the first not nullable. */
export function table(
  name: string,
  columns: Readonly<Record<string, ColumnType>>,
  kind: TableKind = 'TABLE',
  extra: Partial<TableInfo> = {},
): TableInfo {
  return {
    name: parseSecurableName(name),
    kind,
    columns: Object.entries(columns).map(
      ([column, type], i): ColumnInfo => ({
        name: column,
        type,
        engineType: engineTypes[type],
        position: i + 1,
        nullable: i > 0,
        generated: false,
      }),
    ),
    ...extra,
  };
}

/** A catalog snapshot of the given catalogs and tables; schemas follow from the tables' names. */
export function catalogOf(
  catalogs: Readonly<Record<string, CatalogKind>>,
  tables: readonly TableInfo[],
  partitions: Readonly<Record<string, string>> = {},
): CatalogSnapshot {
  const infos = Object.entries(catalogs).map(([name, kind]): [SecurableName, CatalogInfo] => {
    const on = parseSecurableName(name);
    const place = kind === 'POSTGRES' ? { cluster: 'main', database: name } : { location: name };
    return [on, { name: on, kind, ...place }];
  });
  const schemas = tables.map((one) => parseSecurableName(nameParts(one.name).slice(0, 2).join('.')));
  const content = JSON.stringify([catalogs, tables, partitions]);
  return {
    catalogs: new Map(infos),
    schemas: new Set(schemas),
    tables: new Map(tables.map((one) => [one.name, one])),
    functions: new Map(),
    partitions: new Map(
      Object.entries(partitions).map(([name, parent]) => [
        parseSecurableName(name),
        parseSecurableName(parent),
      ]),
    ),
    digest: createHash('sha256').update(content).digest('hex'),
  };
}

/** The sample company: shop (Postgres), lake, system. */
export function sampleCatalog(): CatalogSnapshot {
  return catalogOf({ shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' }, sampleTables(), {
    'shop.public.events_2026_01': 'shop.public.events',
    'shop.public.events_2026_02': 'shop.public.events',
  });
}

export function sampleTables(): TableInfo[] {
  return [...shopTables(), ...otherTables()];
}

function shopTables(): TableInfo[] {
  const customers = parseSecurableName('shop.public.customers');
  const orders = parseSecurableName('shop.public.orders');
  const owned = { engineOwner: 'shop_app' };
  const joined = { id: 'bigint', email: 'text', region: 'text', amount: 'numeric' } as const;
  return [
    table(
      'shop.public.customers',
      {
        id: 'bigint',
        name: 'text',
        email: 'text',
        phone: 'text',
        country: 'text',
        region: 'text',
        created_at: 'timestamptz',
      },
      'TABLE',
      { ...owned, oid: 16401, sequences: [parseSecurableName('public.customers_id_seq')] },
    ),
    table(
      'shop.public.orders',
      { id: 'bigint', customer_id: 'bigint', region: 'text', amount: 'numeric', ordered_at: 'timestamptz' },
      'TABLE',
      { ...owned, oid: 16402, sequences: [parseSecurableName('public.orders_id_seq')] },
    ),
    table('shop.public.order_totals', { region: 'text', day: 'date', total: 'numeric' }, 'TABLE', {
      ...owned,
      oid: 16403,
    }),
    table('shop.public.events', { id: 'bigint', at: 'timestamptz', kind: 'text' }, 'PARTITIONED_TABLE', {
      ...owned,
      oid: 16404,
    }),
    table('shop.public.countries', { code: 'text', name: 'text' }, 'TABLE', { ...owned, oid: 16405 }),
    table('shop.public.customer_orders', joined, 'VIEW', {
      ...owned,
      oid: 16406,
      reads: [customers, orders],
      definition:
        ' SELECT c.id, c.email, c.region, o.amount\n   FROM (public.customers c\n     JOIN public.orders o ON ((o.customer_id = c.id)));',
    }),
    table('shop.public.customer_orders_daily', joined, 'MATERIALIZED_VIEW', {
      ...owned,
      oid: 16407,
      reads: [customers, orders],
      definition:
        ' SELECT c.id, c.email, c.region, sum(o.amount) AS amount\n   FROM (public.customers c\n     JOIN public.orders o ON ((o.customer_id = c.id)))\n  GROUP BY c.id, c.email, c.region;',
    }),
  ];
}

function otherTables(): TableInfo[] {
  return [
    table(
      'lake.sales.orders_history',
      {
        order_id: 'bigint',
        customer_email: 'text',
        region: 'text',
        amount: 'numeric',
        ordered_at: 'timestamptz',
      },
      'TABLE',
      { files: ['sales/orders_history/*.parquet'] },
    ),
    table('system.access.audit', {
      seq: 'bigint',
      at: 'timestamptz',
      kind: 'text',
      principal: 'text',
      statement: 'text',
      decision: 'text',
    }),
  ];
}

/** The sample's people, as names. */
export const people = {
  ana: parsePrincipalName('ana@acme.test'),
  omar: parsePrincipalName('omar@acme.test'),
  sam: parsePrincipalName('sam@acme.test'),
  pat: parsePrincipalName('pat@acme.test'),
  carla: parsePrincipalName('carla@acme.test'),
  nina: parsePrincipalName('nina@acme.test'),
  etl: parsePrincipalName('etl'),
} satisfies Record<string, PrincipalName>;
