import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, endOf, startCompany } from './company.ts';

// The sample company, as its people see it: one policy, obeyed in Postgres and in the lake, through plain psql.

let company: Company;
beforeAll(async () => {
  company = await startCompany();
});
afterAll(() => company.stop());

const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '');

describe('psql on shop and on the lake: the same four answers from the same files', () => {
  const tables = [
    { catalog: 'shop', table: 'customers', email: 'email' },
    { catalog: 'lake', table: 'lake.sales.orders_history', email: 'customer_email' },
  ] as const;
  for (const { catalog, table, email } of tables) {
    const masked = /^.\*\*\*@\*\*\*$/;
    for (const { as, region } of [
      { as: 'ana@acme.test', region: 'EMEA' },
      { as: 'omar@acme.test', region: 'APAC' },
    ]) {
      test(`${as} on ${catalog}: only ${region}, masked`, async () => {
        const regions = await company.psql(as, catalog, `select distinct region from ${table}`);
        expect(regions.stderr).toBe('');
        expect(lines(regions.stdout)).toEqual([region]);
        const emails = await company.psql(as, catalog, `select distinct ${email} from ${table}`);
        expect(lines(emails.stdout).length).toBeGreaterThan(0);
        for (const value of lines(emails.stdout)) expect(value).toMatch(masked);
      });
    }

    test(`sam on ${catalog}: all regions, unmasked`, async () => {
      const ran = await company.psql(
        'sam@acme.test',
        catalog,
        `select region, count(*), min(${email}) from ${table} group by region order by region`,
      );
      expect(ran.stderr).toBe('');
      expect(lines(ran.stdout).map((line) => line.split('|')[0])).toEqual(['AMER', 'APAC', 'EMEA']);
      for (const line of lines(ran.stdout)) expect(line.split('|')[2]).toMatch(/^[^*]+@[^*]+$/);
    });

    test(`nina on ${catalog}: FATAL 42501 at start-up, the failed gate in the DETAIL`, async () => {
      const token = (await company.writ('token', '--as', 'nina@acme.test')).stdout.trim();
      await expect(
        company.connect('ana@acme.test', catalog, { user: 'nina@acme.test', password: token }),
      ).rejects.toMatchObject({
        severity: 'FATAL',
        code: '42501',
        detail: `deny: no USE CATALOG on ${catalog}`,
        hint: `Ask platform for USE CATALOG on ${catalog}.`,
      });
      const ran = await company.psql('nina@acme.test', catalog, 'select 1');
      expect(ran.code).toBe(2);
      expect(ran.stderr).toMatch(/FATAL.*permission denied/);
      expect(ran.stderr).toMatch(new RegExp(`no USE CATALOG on ${catalog}`));
    });
  }

  test('no role is made for nina', async () => {
    const admin = await company.admin();
    const { rows } = await admin.query("select rolname from pg_roles where rolname like 'writ%nina%'");
    await admin.end();
    expect(rows).toEqual([]);
  });
});

describe('every spelling of a table gives one answer', () => {
  const spellings: readonly [name: string, text: string][] = [
    ['bare', 'select count(*) from customers'],
    ['schema', 'select count(*) from public.customers'],
    ['catalog', 'select count(*) from shop.public.customers'],
    ['quoted', 'select count(*) from "public"."customers"'],
    ['mixed case', 'SELECT COUNT(*) FROM Public.CUSTOMERS'],
    ['spaces and comments', 'select count(*) from public /* x */ . -- y\n customers'],
    ['unicode escapes', 'select count(*) from U&"cust\\006Fmers"'],
    ['CTE', 'with c as (select * from customers) select count(*) from c'],
    [
      'CTE of the same name',
      'with customers as (select * from public.customers) select count(*) from customers',
    ],
    ['subquery', 'select (select count(*) from customers)'],
    ['join', 'select count(*) from customers a join public.customers b using (id)'],
    ['TABLE', 'select count(*) from (table customers) t'],
    ['ONLY', 'select count(*) from only (customers)'],
    ['column references', 'select count(customers.id) from customers where public.customers.id is not null'],
    ['PREPARE', 'prepare q as select count(*) from customers; execute q'],
    ['cursor', 'begin; declare c cursor for select count(*) from customers; fetch all from c; commit'],
    ['COPY', 'copy (select count(*) from customers) to stdout'],
    ['lateral', 'select count(*) from (select 1) x, lateral (select * from customers) y'],
    ['set operation', 'select count(*) from (select id from customers union select id from customers) u'],
  ];
  test('as ana, through psql', async () => {
    const expected = lines(
      (await company.psql('sam@acme.test', 'shop', "select count(*) from customers where region = 'EMEA'"))
        .stdout,
    )[0];
    expect(Number(expected)).toBeGreaterThan(0);
    for (const [name, text] of spellings) {
      const ran = await company.psql('ana@acme.test', 'shop', text, '-q');
      expect(ran.stderr, name).toBe('');
      expect(lines(ran.stdout).at(-1), name).toBe(expected);
    }
  });

  test('the copy of a view and of a materialized view, COPY of a table', async () => {
    const names = await company.admin();
    const { rows } = await names.query<{ relname: string }>(
      "select relname from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace",
    );
    await names.end();
    expect(rows.length).toBeGreaterThanOrEqual(2);
    for (const { relname } of rows) {
      const seen = await company.psql('ana@acme.test', 'shop', `select * from ${relname}`);
      expect(seen.stderr, relname).toBe('');
      expect(seen.stdout, relname).not.toMatch(/APAC|AMER/);
      expect(seen.stdout, relname).not.toMatch(/[a-z0-9.]@[a-z]/);
    }
    const copied = await company.psql('ana@acme.test', 'shop', 'copy customers to stdout');
    expect(copied.stderr).toBe('');
    expect(copied.stdout).toMatch(/EMEA/);
    expect(copied.stdout).not.toMatch(/APAC|AMER|[a-z0-9.]@[a-z]/);
  });
});

describe('etl loads orders through the gateway', () => {
  test('INSERT … ON CONFLICT and COPY FROM, all regions; the trigger’s totals are right', async () => {
    const load = await company.psql(
      'etl',
      'shop',
      `insert into orders (id, customer_id, region, amount, ordered_at) values (900001, 1, 'EMEA', 10, now()), (900002, 2, 'APAC', 20, now())
         on conflict (id) do update set amount = excluded.amount;
       insert into orders (id, customer_id, region, amount, ordered_at) values (900001, 1, 'EMEA', 11, now()) on conflict (id) do update set amount = excluded.amount;
       copy orders (id, customer_id, region, amount, ordered_at) from stdin;\n900003\t3\tAMER\t30\t2026-11-01\n\\.\n
       select count(*) from orders where id > 900000;`,
      '-q',
    );
    expect(load.stderr).toBe('');
    expect(lines(load.stdout).at(-1)).toBe('3');
    const admin = await company.admin();
    const { rows } = await admin.query(
      `select region, day::text, total::numeric as kept, (select sum(amount) from public.orders o where o.region = t.region and o.ordered_at::date = t.day) as real
         from public.order_totals t`,
    );
    await admin.end();
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows)
      expect(Number(row.kept), `${row.region} ${row.day}`).toBeCloseTo(Number(row.real), 2);
  });

  test('etl may not read customers', async () => {
    const ran = await company.psql('etl', 'shop', 'select * from customers');
    expect(ran.stderr).toMatch(/42501/);
    expect(ran.stderr).toMatch(/no SELECT on shop\.public\.customers/);
  });
});

describe('the record', () => {
  test('carla sees who read what, denials included; ana is refused', async () => {
    const ran = await company.psql(
      'carla@acme.test',
      'system',
      'select principal, statement, decision from system.access.audit',
    );
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/ana@acme\.test\|.*customers.*\|allow/);
    expect(ran.stdout).toMatch(/nina@acme\.test\|.*\|deny/);
    expect(ran.stdout).toMatch(/etl\|.*customers.*\|deny/);
    const own = await company.psql('ana@acme.test', 'system', 'select * from system.access.audit');
    expect(own.stderr).toMatch(/permission denied/);
    const query = await company.writ(
      'audit',
      'query',
      "select principal, statement, decision from system.access.audit where decision = 'deny'",
      '--as',
      'carla@acme.test',
    );
    expect(query.code).toBe(0);
    expect(query.stdout).toMatch(/ana@acme\.test/);
  });

  test('statements have their literals redacted; the chain is whole', async () => {
    const secret = 'sup3rs3cret-value';
    await company.psql('sam@acme.test', 'shop', `select '${secret}', 424242 from customers limit 1`);
    const seen = await company.writ(
      'audit',
      'query',
      "select statement from system.access.audit where statement like '%customers limit%'",
    );
    expect(seen.stdout).not.toContain(secret);
    expect(seen.stdout).not.toContain('424242');
    const verified = await company.writ('audit', 'verify');
    expect(verified.stdout).toMatch(/^whole/);
    expect(verified.code).toBe(0);
  });
});

describe('credentials', () => {
  test('two of one person work at once; one revoked leaves the other', async () => {
    const first = await company.connectDirect('ana@acme.test', 'shop');
    const second = await company.connectDirect('ana@acme.test', 'shop');
    expect((await first.query('select count(*) from customers')).rows).toEqual(
      (await second.query('select count(*) from customers')).rows,
    );
    const ended = endOf(first);
    expect((await company.writ('revoke', first.credential.id)).code).toBe(0);
    expect(await ended).toBe('57P01');
    expect((await second.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await second.end();
  });

  test('wrong, expired, foreign and mismatched credentials are refused with their codes', async () => {
    const attempt = (user: string, password: string, database = 'shop') =>
      company.connect('ana@acme.test', 'shop', { user, password, database });
    const token = (await company.writ('token', '--as', 'ana@acme.test')).stdout.trim();
    const issue = async (...args: string[]) =>
      JSON.parse(
        (await company.writ('credentials', 'shop', '--as', 'ana@acme.test', '--json', ...args)).stdout,
      ) as { id: string; password: string };
    const compact = await issue();
    const revoked = await issue();
    expect((await company.writ('revoke', revoked.id)).code).toBe(0);
    const direct = await issue('--direct');
    const ana = 'ana@acme.test';
    await expect(attempt(ana, 'nonsense')).rejects.toMatchObject({ code: '28P01' });
    await expect(attempt(ana, `${token.slice(0, -8)}AAAAAAAA`)).rejects.toMatchObject({ code: '28P01' });
    const guessed = `${compact.password.slice(0, -8)}AAAAAAAA`;
    await expect(attempt(ana, guessed)).rejects.toMatchObject({ code: '28P01' });
    await expect(attempt(ana, direct.password)).rejects.toMatchObject({ code: '28P01' });
    await expect(attempt(ana, revoked.password)).rejects.toMatchObject({
      code: '28000',
      detail: 'the credential was revoked',
    });
    for (const password of [token, compact.password])
      await expect(attempt('omar@acme.test', password)).rejects.toMatchObject({
        code: '28000',
        detail: expect.stringContaining("ana@acme.test's"),
      });
    await expect(attempt(ana, token, 'nosuch')).rejects.toMatchObject({
      code: '3D000',
      message: 'catalog nosuch does not exist',
    });
    await expect(attempt(ana, compact.password, 'lake')).rejects.toMatchObject({
      code: '28000',
      detail: 'the credential opens the catalog shop, not lake',
    });
  });
});
