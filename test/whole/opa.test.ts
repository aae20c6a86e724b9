import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// The decision API for Trino over real requests; test/trino asks it through a real Trino.

let company: Company;
let token: string;
beforeAll(async () => {
  company = await startCompany();
  token = readFileSync(join(company.home, 'decision-token'), 'utf8').trim();
});
afterAll(() => company.stop());

interface Asked {
  readonly query?: string;
  readonly bearer?: string;
  readonly body?: string;
}

async function ask(
  path: string,
  action: object,
  user = 'ana@acme.test',
  { query, bearer, body }: Asked = {},
) {
  const response = await fetch(`${company.endpoints.http}/opa/v1/${path}${query ?? ''}`, {
    method: 'POST',
    body:
      body ?? JSON.stringify({ input: { context: { identity: { user, groups: ['stewards'] } }, action } }),
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const customers = { catalogName: 'shop', schemaName: 'public', tableName: 'customers' };
const select = { operation: 'SelectFromColumns', resource: { table: { ...customers, columns: ['id'] } } };
const filters = { operation: 'GetRowFilters', resource: { table: customers } };
const column = (columnName: string) => ({ column: { ...customers, columnName, columnType: 'varchar' } });
const [ana, sam, nina] = ['ana@acme.test', 'sam@acme.test', 'nina@acme.test'];

test('the addresses that docs/trino.md tells to paste answer with the token in them', async () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'trino.md'), 'utf8');
  const shown = [
    ...page.matchAll(
      /^opa\.policy\.([a-z-]+)=http:\/\/127\.0\.0\.1:8080\/opa\/v1\/([a-z-]+)\?token=TOKEN$/gm,
    ),
  ];
  const filterResources = [{ catalog: { name: 'shop' } }];
  const asked: Record<string, object> = {
    uri: select,
    'batched-uri': { operation: 'FilterCatalogs', filterResources },
    'row-filters-uri': filters,
    'batch-column-masking-uri': { operation: 'GetColumnMask', filterResources: [column('email')] },
  };
  expect(shown.map(([, setting]) => setting)).toEqual(Object.keys(asked));
  for (const [line, setting = '', path = ''] of shown) {
    const answer = await ask(path, asked[setting] ?? {}, ana, { query: `?token=${token}` });
    expect(answer, line).toMatchObject({ status: 200, body: { result: expect.anything() } });
  }
});

describe('answers are explicit', () => {
  test('allow', async () => {
    expect(await ask('allow', select)).toEqual({ status: 200, body: { result: true } });
    expect(await ask('allow', select, nina)).toEqual({ status: 200, body: { result: false } });
    expect((await ask('allow', { operation: 'Unheard' }, sam)).body).toEqual({ result: false });
  });

  test('batch', async () => {
    const filterResources = ['shop', 'other', 'lake'].map((name) => ({ catalog: { name } }));
    const action = { operation: 'FilterCatalogs', filterResources };
    expect((await ask('batch', action)).body).toEqual({ result: [0, 2] });
    expect((await ask('batch', action, nina)).body).toEqual({ result: [] });
  });

  test('row filters', async () => {
    const { body } = await ask('row-filters', filters);
    expect(JSON.stringify(body)).toContain("'EMEA'");
    expect((await ask('row-filters', filters, sam)).body).toEqual({ result: [] });
    const unknown = { operation: 'GetRowFilters', resource: { table: { ...customers, tableName: 'x' } } };
    expect((await ask('row-filters', unknown, sam)).body).toEqual({ result: [{ expression: 'false' }] });
  });

  test('masks, one and many', async () => {
    const one = (name: string, user?: string) =>
      ask('column-masks', { operation: 'GetColumnMask', resource: column(name) }, user);
    expect((await one('id')).body).toEqual({ result: null });
    expect((await one('email', sam)).body).toEqual({ result: null });
    expect((await one('unheard', sam)).body).toEqual({ result: { expression: 'NULL' } });
    expect(JSON.stringify((await one('email')).body)).toContain('***@***');
    const many = (filterResources: object[], user?: string) =>
      ask('column-masks', { operation: 'GetColumnMask', filterResources }, user);
    const found = (await many(['id', 'email', 'phone'].map(column))).body['result'] as { index: number }[];
    expect(found.map(({ index }) => index)).toEqual([1, 2]);
    expect((await many([], sam)).body).toEqual({ result: [] });
    expect((await many([column('email')], sam)).body).toEqual({ result: [] });
  });
});

describe('what cannot be answered is an error, never an answer', () => {
  test.each([
    ['allow', ''],
    ['allow', '{}'],
    ['allow', '{"input":{}}'],
    ['allow', '[1]'],
    ['row-filters', '{broken'],
    [
      'column-masks',
      '{"input":{"context":{"identity":{"user":"x"}},"action":{"operation":"GetColumnMask"}}}',
    ],
    ['row-filters', '{"input":{"context":{"identity":{"user":"x"}},"action":{"operation":"GetRowFilters"}}}'],
    ['batch', '{"input":{"context":{"identity":{"user":"x"}},"action":{"operation":"FilterTables"}}}'],
  ])('%s %s', async (path, body) => {
    const answer = await ask(path, {}, ana, { body });
    expect(answer.status).toBe(400);
    expect(answer.body).not.toHaveProperty('result');
  });

  test('an operation at the path of another; a table without a catalog', async () => {
    expect((await ask('row-filters', select)).status).toBe(400);
    expect((await ask('column-masks', filters)).status).toBe(400);
    const nameless = { operation: 'SelectFromColumns', resource: { table: { tableName: 'customers' } } };
    expect((await ask('allow', nameless)).status).toBe(400);
  });
});

describe('who may ask', () => {
  const operator = () => readFileSync(join(company.home, 'operator-token'), 'utf8').trim();

  test('the decision token, in a header or in the URL; the operator in a header', async () => {
    for (const asked of [{ bearer: token }, { query: `?token=${token}` }, { bearer: operator() }])
      expect((await ask('allow', select, ana, asked)).body).toEqual({ result: true });
  });

  test('nobody else: a wrong token is no token', async () => {
    const person = (await company.writ('token', '--as', 'sam@acme.test')).stdout.trim();
    for (const [asked, status] of [
      [{ bearer: person }, 403],
      [{ bearer: 'wrong' }, 401],
      [{ query: '?token=wrong' }, 403],
      [{ query: `?token=${operator()}` }, 403],
      [{ query: '?token=' }, 403],
      [{ query: `?token=${person}` }, 403],
    ] as const) {
      const answer = await ask('allow', select, sam, asked);
      expect(answer.status, JSON.stringify(asked)).toBe(status);
      expect(answer.body).not.toHaveProperty('result');
    }
  });

  test('the decision token opens nothing else', async () => {
    const answer = await fetch(`${company.endpoints.http}/api/v1/policy/plan`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(401);
  });
});

describe('the record', () => {
  test('decisions about people, no filters, no tokens', async () => {
    await ask('allow', select, 'analysts', { query: `?token=${token}` });
    await ask('allow', { ...select, resource: { table: { ...customers, tableName: 'gone' } } }, sam);
    const found = await company.writ(
      'audit',
      'query',
      "select kind, principal, decision, command, tables, columns, reasons, message, path from system.access.audit where application in ('trino', 'http')",
      '--json',
    );
    expect(found.stderr).toBe('');
    const text = (JSON.parse(found.stdout) as { rows: unknown[] }).rows.map((row) => JSON.stringify(row));
    const decisions = text.filter((row) => row.includes('"decision"'));
    expect(decisions.some((row) => row.includes(ana) && row.includes('row filter own_region'))).toBe(true);
    expect(decisions.some((row) => row.includes(nina) && row.includes('no USE CATALOG on shop'))).toBe(true);
    expect(text.some((row) => row.includes('nobody of that name') && row.includes('analysts'))).toBe(true);
    expect(text.some((row) => row.includes('shop.public.gone') && row.includes('not in the catalog'))).toBe(
      true,
    );
    expect(text.some((row) => row.includes('FilterCatalogs'))).toBe(false);
    expect(text.some((row) => row.includes('not the decision token'))).toBe(true);
    expect(text.join('\n') + company.output()).not.toContain(token);
  });
});
