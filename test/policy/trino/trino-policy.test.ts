import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CatalogSnapshot } from '../../../src/catalog/model.ts';
import { formatReason } from '../../../src/kernel/decision.ts';
import { sql } from '../../../src/kernel/sql.ts';
import { compileFiles } from '../../../src/policy/compile.ts';
import { printTrino } from '../../../src/policy/expression/print-trino.ts';
import type { PrintContext } from '../../../src/policy/expression/printer.ts';
import { trinoOperations } from '../../../src/policy/trino/operations.ts';
import { type TrinoResource, trinoRequest } from '../../../src/policy/trino/request.ts';
import { TrinoPolicy } from '../../../src/policy/trino/trino-policy.ts';
import { catalogOf, people, sampleCatalog, sampleTables, table } from '../fixture.ts';

const sample = readFileSync('policies/sample.yaml', 'utf8');

async function policyOf(text: string, catalog: CatalogSnapshot): Promise<TrinoPolicy> {
  const { snapshot, findings } = await compileFiles([{ path: 'p.yaml', text }], catalog, [people.nina], 0);
  if (snapshot === undefined) throw new Error(JSON.stringify(findings));
  return new TrinoPolicy(snapshot);
}

const policy = await policyOf(sample, sampleCatalog());

const relation = (name: string, columns?: string[]): TrinoResource => {
  const [catalogName = '', schemaName = '', tableName = ''] = name.split('.');
  return { table: { catalogName, schemaName, tableName, ...(columns === undefined ? {} : { columns }) } };
};
const column = (name: string, columnName: string, columnType = 'varchar') => {
  const [catalogName = '', schemaName = '', tableName = ''] = name.split('.');
  return { catalogName, schemaName, tableName, columnName, columnType };
};
const routine = (name: string): TrinoResource => {
  const [catalogName = '', schemaName = '', functionName = ''] = name.split('.');
  return { function: { catalogName, schemaName, functionName } };
};

function may(user: string, operation: string, resource?: TrinoResource, targetResource?: TrinoResource) {
  const action = {
    operation,
    ...(resource === undefined ? {} : { resource }),
    ...(targetResource === undefined ? {} : { targetResource }),
  };
  return policy.allow(user, action).decision;
}

/** `yes`, or why not. */
function says(...question: Parameters<typeof may>): string {
  const decision = may(...question);
  return decision.effect === 'allow' ? 'yes' : decision.because.map(formatReason).join('; ');
}

const { ana, sam, pat, carla, nina, etl } = people;
const customers = 'shop.public.customers';
const orders = 'shop.public.orders';
const history = 'lake.sales.orders_history';

describe('who asks', () => {
  test('people with a catalog run queries, others do not', () => {
    for (const user of [ana, sam, pat, carla, etl]) expect(says(user, 'ExecuteQuery'), user).toBe('yes');
    expect(says(nina, 'ExecuteQuery')).toBe('no USE CATALOG on any catalog');
  });

  test('a name is a person’s, in any case of letters; never a group, the operator, all users, or padded', () => {
    expect(says('ANA@Acme.Test', 'ExecuteQuery')).toBe('yes');
    for (const user of [
      'analysts',
      'platform',
      'operator',
      'all users',
      '',
      ` ${ana}`,
      `${ana}\n`,
      'x'.repeat(300),
    ])
      expect(says(user, 'SelectFromColumns', relation(customers)), user).toBe('nobody of that name');
  });

  test('groups that Trino claims are not read', () => {
    const { input } = trinoRequest.parse({
      input: {
        context: { identity: { user: nina, groups: ['stewards', 'platform'] } },
        action: { operation: 'ExecuteQuery' },
      },
    });
    expect(input.context.identity).toEqual({ user: nina });
  });

  test('nobody acts as another; queries are one’s own', () => {
    expect(says(ana, 'ImpersonateUser', { user: { user: ana } })).toBe('yes');
    expect(says(pat, 'ImpersonateUser', { user: { user: ana } })).toMatch(/nobody acts as somebody else/);
    for (const operation of ['ViewQueryOwnedBy', 'KillQueryOwnedBy', 'FilterViewQueryOwnedBy']) {
      expect(says(ana, operation, { user: { user: 'ana@acme.test' } })).toBe('yes');
      expect(says(ana, operation, { user: { user: sam } })).toBe('no MANAGE on metastore');
    }
  });
});

describe('reading', () => {
  test('SELECT, with the rules that bind', () => {
    expect(says(ana, 'SelectFromColumns', relation(customers, ['id']))).toBe('yes');
    const because = may(ana, 'SelectFromColumns', relation(customers)).because.map(formatReason);
    expect(because).toEqual(
      expect.arrayContaining(['row filter own_region on metastore', 'column mask mask_email on metastore']),
    );
    expect(says(pat, 'SelectFromColumns', relation(customers))).toBe('no SELECT on shop.public.customers');
    expect(says(nina, 'SelectFromColumns', relation(customers))).toBe('no USE CATALOG on shop');
  });

  test('what is not in the catalog is refused: partitions, tables beside a table, catalogs, our own system catalog', () => {
    for (const name of [
      'shop.public.events_2026_01',
      'shop.public.unknown',
      `lake.sales.orders_history$files`,
      'tpch.tiny.nation',
      'shop.pg_catalog.pg_stats',
      'jmx.current.x',
    ])
      expect(says(sam, 'SelectFromColumns', relation(name)), name).toMatch(/^not in the catalog on/);
    expect(says(carla, 'SelectFromColumns', relation('system.access.audit'))).toBe('no MANAGE on metastore');
  });

  test('a view over rules is for who is exempt from them', () => {
    for (const view of ['shop.public.customer_orders', 'shop.public.customer_orders_daily']) {
      expect(says(sam, 'SelectFromColumns', relation(view)), view).toBe('yes');
      expect(says(ana, 'SelectFromColumns', relation(view)), view).toMatch(/without its rules/);
    }
  });

  test("Trino's own tables: what it filters by our answers is open, the rest is not", () => {
    for (const name of ['system.jdbc.tables', 'system.runtime.queries', 'shop.information_schema.columns'])
      expect(says(ana, 'SelectFromColumns', relation(name)), name).toBe('yes');
    for (const name of ['system.runtime.tasks', 'system.runtime.nodes', 'system.metadata.materialized_views'])
      expect(says(ana, 'SelectFromColumns', relation(name)), name).toBe('no MANAGE on metastore');
    expect(says(nina, 'SelectFromColumns', relation('system.jdbc.tables'))).not.toBe('yes');
    expect(says(carla, 'SelectFromColumns', relation('shop.information_schema.tables'))).not.toBe('yes');
  });
});

describe('writing and defining', () => {
  test('MODIFY writes; TRUNCATE is never granted in Postgres', () => {
    for (const operation of ['InsertIntoTable', 'UpdateTableColumns', 'DeleteFromTable']) {
      expect(says(etl, operation, relation(orders, ['amount'])), operation).toBe('yes');
      expect(says(ana, operation, relation(orders, ['amount'])), operation).toMatch(/no MODIFY/);
    }
    expect(says(etl, 'TruncateTable', relation(orders))).toMatch(/TRUNCATE is never granted/);
  });

  test('masked columns are not written by who sees them masked, filtered tables not emptied', async () => {
    const grant =
      '  - { on: [shop, lake], to: analysts, privileges: [MODIFY] }\n  - { on: [shop, lake], to: analysts';
    const wider = await policyOf(
      sample.replace('  - { on: [shop, lake], to: analysts', grant),
      sampleCatalog(),
    );
    const asks = (operation: string, resource: TrinoResource) =>
      wider.allow(ana, { operation, resource }).decision.because.map(formatReason).join('; ');
    expect(asks('UpdateTableColumns', relation(customers, ['EMAIL']))).toMatch(
      /masked column is not written/,
    );
    expect(asks('UpdateTableColumns', relation(customers, ['name']))).toMatch(/^USE CATALOG/);
    expect(asks('InsertIntoTable', relation(customers))).toMatch(/masked column is not written/);
    expect(asks('TruncateTable', relation(history))).toMatch(/a row filter hides/);
    expect(asks('InsertIntoTable', relation('shop.public.customer_orders'))).toMatch(/views are not written/);
  });

  test('definitions: MANAGE in a lake, nobody in a POSTGRES catalog', () => {
    for (const operation of ['DropTable', 'AddColumn', 'SetTableProperties']) {
      expect(says(pat, operation, relation(history)), operation).toBe('yes');
      expect(says(ana, operation, relation(history)), operation).toMatch(/no MANAGE/);
      expect(says(pat, operation, relation(customers)), operation).toMatch(/its own database/);
    }
    expect(says(pat, 'RenameTable', relation(history), relation('lake.sales.x'))).toMatch(/no CREATE TABLE/);
    expect(says(pat, 'CreateSchema', { schema: { catalogName: 'lake', schemaName: 'new' } })).toBe('yes');
    expect(says(pat, 'CreateTable', relation('shop.public.new'))).toMatch(/its own database/);
    expect(says(pat, 'RenameTable', relation(history))).toMatch(/nothing is created there/);
  });
});

describe('ways past the rules', () => {
  test('a name that the catalog has is not given to other files', async () => {
    const grant =
      '  - { on: lake, to: analysts, privileges: [CREATE TABLE] }\n  - { on: [shop, lake], to: analysts';
    const creating = await policyOf(
      sample.replace('  - { on: [shop, lake], to: analysts', grant),
      sampleCatalog(),
    );
    const asks = (name: string) =>
      creating.allow(ana, { operation: 'CreateTable', resource: relation(name) }).decision.effect;
    expect(asks('lake.sales.new')).toBe('allow');
    expect(asks(history)).toBe('deny');
  });

  test('functions and procedures of a connector, views with their owner’s rights, properties', () => {
    expect(says(ana, 'ExecuteFunction', routine('system.builtin.length'))).toBe('yes');
    expect(says(sam, 'ExecuteFunction', routine('shop.system.query'))).toMatch(/past the rules/);
    expect(says(sam, 'ExecuteProcedure', routine('shop.system.execute'))).toMatch(/past the rules/);
    expect(says(ana, 'ExecuteProcedure', routine('system.runtime.kill_query'))).toBe('yes');
    expect(says(sam, 'CreateViewWithSelectFromColumns', relation(customers))).toMatch(/owner's rights/);
    const optimize = { ...relation(history), function: { functionName: 'OPTIMIZE' } };
    expect(says(pat, 'ExecuteTableProcedure', optimize)).toBe('yes');
    const add = { ...relation(history), function: { functionName: 'add_files' } };
    expect(says(pat, 'ExecuteTableProcedure', add)).toMatch(/only optimize/);
    expect(
      says(ana, 'SetSystemSessionProperty', { systemSessionProperty: { name: 'query_max_run_time' } }),
    ).toBe('yes');
    expect(says(ana, 'SetSystemSessionProperty', { systemSessionProperty: { name: 'legacy_x' } })).toMatch(
      /harmless/,
    );
  });

  test('an operation that is not known, or lacks its resource, is refused', () => {
    expect(says(sam, 'ReadEverything')).toBe('an operation that is not known');
    const needless = ['ExecuteQuery'];
    for (const { name } of trinoOperations.filter((each) => !needless.includes(each.name)))
      expect(may(sam, name, {}).effect, name).toBe('deny');
  });
});

describe('filters', () => {
  const kept = (user: string, operation: string, filterResources: TrinoResource[]) =>
    policy.filter(user, { operation, filterResources });

  test('positions of what may be seen', () => {
    const catalogs = ['shop', 'tpch', 'lake', 'system'].map((name) => ({ catalog: { name } }));
    expect(kept(ana, 'FilterCatalogs', catalogs)).toEqual([0, 2, 3]);
    expect(kept(nina, 'FilterCatalogs', catalogs)).toEqual([]);
    const tables = [customers, orders, 'shop.public.unknown'].map((name) => relation(name));
    expect(kept(ana, 'FilterTables', tables)).toEqual([0, 1]);
    expect(kept(etl, 'FilterTables', tables)).toEqual([1]);
    expect(kept('analysts', 'FilterTables', tables)).toEqual([]);
    expect(kept(ana, 'FilterTables', [])).toEqual([]);
  });

  test('FilterColumns: one table, positions of its columns', () => {
    expect(kept(ana, 'FilterColumns', [relation(customers, ['x', 'id', 'EMAIL'])])).toEqual([1, 2]);
    expect(kept(nina, 'FilterColumns', [relation(customers, ['id'])])).toEqual([]);
    expect(kept(ana, 'FilterColumns', [relation('system.jdbc.tables', ['a', 'b'])])).toEqual([0, 1]);
    expect(() => kept(ana, 'FilterColumns', [relation(customers), relation(orders)])).toThrow(/one table/);
  });

  test('what is no filter is an error, not an empty answer', () => {
    expect(() => kept(ana, 'SelectFromColumns', [relation(customers)])).toThrow(/no filter/);
    expect(() => kept(ana, 'FilterEverything', [])).toThrow(/no filter/);
  });
});

describe('row filters and masks', () => {
  const filters = (user: string, name: string, from = policy) =>
    from.rowFilters(user, { operation: 'GetRowFilters', resource: relation(name) });

  test('the person’s own values; false for what is unknown or not theirs', () => {
    expect(filters(ana, customers)).toEqual([`(CAST("region" AS VARCHAR) IN (CAST('EMEA' AS VARCHAR)))`]);
    expect(filters(sam, customers)).toEqual([]);
    expect(filters(sam, 'shop.public.countries')).toEqual([]);
    for (const [user, name] of [
      [nina, customers],
      [pat, customers],
      ['analysts', customers],
      ['operator', customers],
      [sam, 'shop.public.unknown'],
      [sam, 'tpch.tiny.nation'],
      [ana, 'shop.public.customer_orders'],
      [ana, 'system.runtime.tasks'],
    ] as const)
      expect(filters(user, name), `${user} ${name}`).toEqual(['false']);
    expect(filters(ana, 'system.jdbc.tables')).toEqual([]);
  });

  test('somebody without the attribute sees no row', () => {
    const hidden = sample.replace('omar@acme.test: { region: [APAC] }', 'omar@acme.test: {}');
    return policyOf(hidden, sampleCatalog()).then((other) =>
      expect(filters(people.omar, customers, other)).toEqual(['(1 = 0)']),
    );
  });

  test('a token is NULL: its key is not sent to another server', async () => {
    const text = sample.replace(`"left(value, 1) || '***@***'"`, '"token(value)"');
    const tokens = await policyOf(text, sampleCatalog());
    expect(tokens.columnMasks(ana, [column(customers, 'email')])).toEqual(['NULL']);
    const part = await policyOf(
      text.replace('"token(value)"', `"case when length(value) > 3 then token(value) else '-' end"`),
      sampleCatalog(),
    );
    expect(part.columnMasks(ana, [column(customers, 'email')])).toEqual(['NULL']);
    expect(tokens.columnMasks(sam, [column(customers, 'email')])).toEqual([undefined]);
    const operand = { kind: 'literal', value: 'x', type: 'text' } as const;
    const nobody: PrintContext = {
      column: () => sql`x`,
      principal: () => sql`x`,
      isMember: () => sql`x`,
      attribute: () => sql`x`,
    };
    expect(() => printTrino({ kind: 'token', operand, type: 'text' }, nobody)).toThrow(
      expect.objectContaining({ code: 'refused_on_purpose' }),
    );
  });

  test('masks have the column’s type; what is not known shows nothing', () => {
    const masks = policy.columnMasks(ana, [
      column(customers, 'id', 'bigint'),
      column(customers, 'email', 'varchar(40)'),
      column(customers, 'phone', 'char(9)'),
      column(customers, 'new_column', 'row(a bigint)'),
      column(customers, 'email', 'row(a bigint)) or (1'),
    ]);
    expect(masks[0]).toBeUndefined();
    expect(masks[1]).toMatch(/^CAST\(.*'\*\*\*@\*\*\*'.* AS varchar\(40\)\)$/);
    expect(masks[2]).toMatch(/ AS char\(9\)\)$/);
    expect(masks.slice(3)).toEqual(['NULL', 'NULL']);
    expect(policy.columnMasks(sam, [column(customers, 'email')])).toEqual([undefined]);
    expect(policy.columnMasks(nina, [column(customers, 'id'), column('a.b.c', 'd')])).toEqual([
      'NULL',
      'NULL',
    ]);
    expect(policy.columnMasks(sam, [])).toEqual([]);
  });

  test('names that differ by case only: one is found, two cannot be told apart', async () => {
    const catalog = catalogOf({ shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' }, [
      ...sampleTables(),
      table('shop.public."People"', { id: 'bigint', Email: 'text', region: 'text' }),
      table('shop.public."Twice"', { id: 'bigint' }),
      table('shop.public."TWICE"', { id: 'bigint' }),
      table('shop."public.a"."B"', { id: 'bigint' }),
      table('shop.public.mixed', { id: 'bigint', mail: 'text', Mail: 'text' }),
    ]);
    const tagged = sample.replace(
      'on: shop.public.customers.phone',
      'on: [shop.public.customers.phone, shop.public."People"."Email"]',
    );
    const odd = await policyOf(tagged, catalog);
    expect(odd.columnMasks(ana, [column('shop.public.people', 'email')])[0]).toMatch(/^CAST/);
    expect(odd.columnMasks(ana, [column('shop.public.mixed', 'mail')])).toEqual(['NULL']);
    expect(filters(sam, 'shop.public.twice', odd)).toEqual(['false']);
    const dotted = { table: { catalogName: 'shop', schemaName: 'public', tableName: 'a.b' } };
    expect(odd.rowFilters(sam, { operation: 'GetRowFilters', resource: dotted })).toEqual(['false']);
  });

  test('a value of a person is a literal, whatever it holds', async () => {
    const quoted = sample.replace('[EMEA]', `["E'||\\"region\\"||'"]`);
    const other = await policyOf(quoted, sampleCatalog());
    expect(filters(ana, customers, other)[0]).toContain(`'E''||"region"||'''`);
  });
});
