import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// The HTTP side of the contract, over real requests.

let company: Company;
beforeAll(async () => {
  company = await startCompany();
});
afterAll(() => company.stop());

const token = async (as: string) => (await company.writ('token', '--as', as)).stdout.trim();

async function ask(path: string, bearer?: string, init: RequestInit = {}) {
  const headers = {
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    'content-type': 'application/json',
  };
  const response = await fetch(`${company.endpoints.http}${path}`, { ...init, headers });
  const text = await response.text();
  return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
}

const post = (body: unknown): RequestInit => ({ method: 'POST', body: JSON.stringify(body) });

describe('open to everybody', () => {
  test('health, readiness, metrics, the description of the API', async () => {
    expect((await ask('/healthz')).body).toEqual({ status: 'ok' });
    expect((await ask('/readyz')).body).toMatchObject({ status: 'ready' });
    expect((await ask('/metrics')).text).toMatch(/^writ_audit_writable 1$/m);
    const { body } = await ask('/openapi.json');
    expect(body.openapi).toMatch(/^3\./);
    expect(Object.keys(body.paths)).toContain('/api/v1/credentials');
  });
});

describe('who may what', () => {
  test('without a token, with a broken one, with a compact credential: 401', async () => {
    const compact = JSON.parse(
      (await company.writ('credentials', 'shop', '--as', 'ana@acme.test')).stdout,
    ) as {
      password: string;
    };
    for (const bearer of [undefined, 'nonsense', 'a.b.c', compact.password]) {
      const { status, body } = await ask('/api/v1/catalog', bearer);
      expect(status, bearer).toBe(401);
      expect(body.message, bearer).toBeTruthy();
    }
  });

  test('ana sees what she may, not the audit log; administration is refused with the failed gate', async () => {
    const ana = await token('ana@acme.test');
    const catalogs = await ask('/api/2.1/unity-catalog/catalogs', ana);
    expect(catalogs.body.catalogs.map((each: { name: string }) => each.name)).toEqual(['lake', 'shop']);
    const table = await ask('/api/2.1/unity-catalog/tables/shop.public.customers', ana);
    expect(table.body).toMatchObject({ full_name: 'shop.public.customers', table_type: 'MANAGED' });
    expect((await ask('/api/2.1/unity-catalog/tables/system.access.audit', ana)).status).toBe(404);
    expect((await ask('/api/2.1/unity-catalog/catalogs/system', ana)).status).toBe(404);
    for (const path of [
      'policy/plan',
      'policy/apply',
      'sync/plan',
      'sync/uninstall',
      'clusters/main/harden',
    ]) {
      const { status, body } = await ask(`/api/v1/${path}`, ana, post({ cluster: 'main' }));
      expect(status, path).toBe(403);
      expect(body.detail, path).toMatch(/no MANAGE on metastore/);
    }
    expect((await ask('/api/v1/audit/verify', ana)).status).toBe(403);
    const query = await ask('/api/v1/audit/query', ana, post({ sql: 'select 1 from system.access.audit' }));
    expect(query.status).toBe(403);
  });

  test('sessions and credentials of others are out of reach', async () => {
    const session = await company.connect('sam@acme.test', 'shop');
    const ana = await token('ana@acme.test');
    const { body } = await ask('/api/v1/sessions', ana);
    expect(body.sessions).toEqual([]);
    const all = JSON.parse((await company.writ('sessions', 'ls', '--json')).stdout) as {
      sessions: { id: string }[];
    };
    const id = all.sessions[0]?.id ?? '';
    expect((await ask(`/api/v1/sessions/${id}`, ana, { method: 'DELETE' })).status).toBe(404);
    expect((await session.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    const ended = new Promise<string | undefined>((resolve) =>
      session.once('error', (error: Error & { code?: string }) => resolve(error.code)),
    );
    expect((await company.writ('sessions', 'kill', id)).code).toBe(0);
    expect(await ended).toBe('57P01');
    const issued = JSON.parse(
      (await company.writ('credentials', 'shop', '--as', 'sam@acme.test')).stdout,
    ) as { id: string };
    expect((await ask(`/api/v1/credentials/${issued.id}`, ana, { method: 'DELETE' })).status).toBe(404);
  });

  test('a credential names its place and its end; too long a life is refused', async () => {
    const ana = await token('ana@acme.test');
    const { status, body } = await ask(
      '/api/v1/credentials',
      ana,
      post({ catalog: 'shop', lifetimeSeconds: 60 }),
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ user: 'ana@acme.test', port: company.endpoints.postgres.port });
    expect(Buffer.byteLength(body.password)).toBeLessThan(128);
    expect(Date.parse(body.expiresAt)).toBeLessThanOrEqual(Date.now() + 60_000);
    const long = await ask('/api/v1/credentials', ana, post({ catalog: 'shop', lifetimeSeconds: 10 ** 7 }));
    expect(long.status).toBe(400);
    for (const body of ['{broken', '[]', '{"catalog": 5}']) {
      expect((await ask('/api/v1/credentials', ana, { method: 'POST', body })).status, body).toBe(400);
    }
  });

  test('what was sent is not in the record of what was refused', async () => {
    const carla = await token('carla@acme.test');
    const secret = 'hunter2-in-a-statement';
    for (const sql of [
      `select '${secret}`,
      `select '${secret}'::int`,
      `select ${secret} from system.access.audit`,
    ])
      expect((await ask('/api/v1/audit/query', carla, post({ sql }))).status, sql).toBe(400);
    expect((await ask('/api/v1/credentials', carla, post({ catalog: secret }))).status).toBeGreaterThan(399);
    const found = await company.writ(
      'audit',
      'query',
      "select kind, statement, message, reasons from system.access.audit where cast(coalesce(message, '') || coalesce(statement, '') || coalesce(cast(reasons as varchar), '') as varchar) like '%hunter2-in%'",
      '--json',
    );
    expect(found.stderr).toBe('');
    expect((JSON.parse(found.stdout) as { rows: unknown[] }).rows).toEqual([]);
  });

  test('a body over the limit is refused, also when its length is not announced', async () => {
    const ana = await token('ana@acme.test');
    const body = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 9; i++) controller.enqueue(new Uint8Array(1024 * 1024).fill(32));
        controller.close();
      },
    });
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect((await ask('/api/v1/credentials', ana, init)).status).toBe(413);
    const announced = { method: 'POST', body: ' '.repeat(9 * 1024 * 1024) };
    expect((await ask('/api/v1/credentials', ana, announced)).status).toBe(413);
  });
});
