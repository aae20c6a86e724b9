import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// `writ sync …` as its operator meets it: a plan only reads, an apply says what it left, and whoever reads through the
// gateway meanwhile is told why they cannot.

let company: Company;
beforeAll(async () => {
  company = await startCompany();
});
afterAll(() => company.stop());

const sync = (...args: string[]) => company.writ('sync', ...args);
const ask = (text = 'select distinct region from customers') => company.psql('ana@acme.test', 'shop', text);

/** Runs statements one by one, each a transaction of its own, as a migration tool does. */
async function migrate(...statements: string[]): Promise<void> {
  const client = await company.application('shop_app');
  for (const statement of statements) await client.query(statement);
  await client.end();
}

async function rolesOfOurs(): Promise<number> {
  const admin = await company.admin();
  const { rows } = await admin.query(`select count(*)::int as n from pg_roles where rolname ~ '^writ_'`);
  await admin.end();
  return rows[0].n as number;
}

describe('a paused table', () => {
  test('is refused in words of its own, reported, and nothing to repair', async () => {
    const session = await company.connect('ana@acme.test', 'shop');
    await session.query({ name: 'kept', text: 'select count(*) from customers' });
    expect((await sync('pause', 'shop.public.customers')).code).toBe(0);
    const refused = await ask();
    expect(refused.stderr).toMatch(/42501: public\.customers cannot be read at present/);
    expect(refused.stderr).toMatch(/paused for a migration/);
    expect(refused.stderr).not.toMatch(/writ_/);
    const message = expect.not.stringMatching(/writ_/) as string;
    await expect(session.query('select * from customers where id = $1', [1])).rejects.toMatchObject({
      code: '42501',
      message,
    });
    await session.end();
    const drift = await sync('drift');
    expect(drift.stdout).toMatch(/reported\s+public\.customers is paused/);
    expect(drift.stdout).not.toMatch(/repairable|critical/);
    expect(await sync('plan')).toMatchObject({ code: 0, stderr: '' });
    expect(await sync('apply')).toMatchObject({ code: 0 });
    expect((await sync('resume', 'shop.public.customers')).code).toBe(0);
    expect((await ask()).stdout.trim()).toBe('EMEA');
    expect((await sync('drift')).stdout.trim()).toBe('no drift');
  });
});

describe('rename and swap, the old table stays', () => {
  test('drift is critical at once, and an apply that cannot mend it says why', async () => {
    await migrate(
      'create table customers_new (like customers including all)',
      'alter table customers rename to customers_old',
      'alter table customers_new rename to customers',
    );
    expect((await ask()).stderr).toMatch(/public\.customers cannot be read at present/);
    const drift = await sync('drift');
    expect(drift.code).toBe(2);
    expect(drift.stdout).toMatch(
      /critical\s+the view writ_public\.customers over public\.customers is withdrawn: its name belongs to another table/,
    );
    for (const command of ['plan', 'apply', 'apply'] as const) {
      const answer = await sync(command);
      expect(answer.code).toBe(3);
      expect(answer.stdout).toMatch(/does not compile against it/);
      expect(answer.stdout).toMatch(/sample\.yaml:\d+:\d+ .*customers_old\.email looks like/);
      expect(answer.stdout).toMatch(/the policy in force stays; change the files/);
    }
    expect((await sync('drift')).stdout).toMatch(/critical/);
    for (let i = 0; i < 2; i++) {
      const found = await company.writ('catalog', 'discover', 'shop');
      expect(found.code).not.toBe(0);
      expect(found.stderr).toMatch(/customers_old\.email looks like/);
    }
  });

  test('and is over when the table that is in the way is gone', async () => {
    await migrate('drop table customers_old cascade');
    const applied = await sync('apply');
    expect(applied).toMatchObject({ code: 0, stderr: '' });
    expect((await sync('drift')).stdout.trim()).toBe('no drift');
    expect((await ask('select count(*) from customers')).stdout.trim()).toBe('0');
    const record = await company.psql(
      'carla@acme.test',
      'system',
      `select distinct principal from system.access.audit where kind = 'sync.operation' and statement like 'sync apply:%'`,
    );
    expect(record.stderr).toBe('');
    expect(record.stdout.trim()).toBe('operator');
  });
});

describe('a cluster that was let go', () => {
  test('is planned without being touched, and says so at sign-in', async () => {
    expect((await ask('select 1')).stdout.trim()).toBe('1');
    expect((await sync('uninstall', 'main')).code).toBe(0);
    await migrate('create table fresh (id int)');
    for (let i = 0; i < 2; i++) {
      const plan = await sync('plan');
      expect(plan.code).toBe(2);
      expect(plan.stdout).toMatch(/public\.fresh/);
      expect(plan.stdout).toMatch(/not hardened.*writ cluster harden main --apply/);
      expect(await rolesOfOurs()).toBe(0);
    }
    const refused = await ask('select 1');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/FATAL.*the database "shop" is not governed at present/);
    expect(refused.stderr).not.toMatch(/writ\.lease/);
  });

  test('comes back, and an apply says that it is not hardened', async () => {
    const applied = await sync('apply');
    expect(applied.code).toBe(0);
    expect(applied.stdout).toMatch(/main\/shop: [1-9]\d* operations done/);
    expect(applied.stdout).toMatch(/writ cluster harden main --apply/);
    expect((await ask('select count(*) from fresh')).stdout.trim()).toBe('0');
    expect(await sync('plan')).toMatchObject({ code: 0, stderr: '' });
    expect(await sync('apply')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/0 operations done/) as string,
    });
  });
});
