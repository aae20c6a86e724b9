import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uninstallCluster } from '../../src/rolesync/reconcile.ts';
import { type GovernedShop, governedShop, outcome, withModify } from './rolesync-shop.ts';

// Uninstall leaves nothing: every ACL (defaults spelled out), role, membership, setting and object is as before.

let company: GovernedShop;
beforeAll(async () => {
  company = await governedShop();
});
afterAll(() => company.stop());

const everything = `
  select 'relation' as kind, c.oid::regclass::text as name, relkind::text || ' ' || relowner::regrole || ' ' || coalesce(relacl, acldefault(case when relkind = 'S' then 's' else 'r' end::"char", relowner))::text || coalesce(reloptions::text, '') as fact
    from pg_class c where relnamespace not in ('pg_toast'::regnamespace) and relpersistence <> 't'
  union all select 'column', attrelid::regclass || '.' || attname, coalesce(attacl::text, '') || atttypid::regtype || coalesce(attoptions::text, '') from pg_attribute where attnum > 0 and attrelid > 16383
  union all select 'schema', nspname, coalesce(nspacl, acldefault('n', nspowner))::text from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
  union all select 'database', datname, coalesce(datacl, acldefault('d', datdba))::text from pg_database
  union all select 'function', oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner))::text || proowner::regrole from pg_proc where oid > 16383
  union all select 'type', oid::regtype::text, coalesce(typacl, acldefault('T', typowner))::text from pg_type where oid > 16383
  union all select 'role', rolname, row(rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconfig, shobj_description(oid, 'pg_authid'))::text from pg_roles
  union all select 'membership', roleid::regrole || ' ' || member::regrole, grantor::regrole || admin_option::text from pg_auth_members
  union all select 'setting', setdatabase || ' ' || setrole, setconfig::text from pg_db_role_setting
  union all select 'event trigger', evtname, evtevent from pg_event_trigger
  union all select 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) from pg_trigger
  union all select 'rule', ev_class::regclass::text, md5(pg_get_ruledef(oid)) from pg_rewrite where oid > 16383
  union all select 'default acl', defaclrole::regrole::text, defaclacl::text from pg_default_acl
  union all select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) from pg_constraint where oid > 16383
  order by 1, 2, 3`;

const fingerprint = async (admin: pg.Client) => (await admin.query(everything)).rows.map((row) => `${row.kind} ${row.name}: ${row.fact}`);

test('after apply, use and uninstall the catalogs are as before the first apply', async () => {
  const admin = await company.admin();
  const before = await fingerprint(admin);
  const application = await company.application('shop_app');
  await company.apply(await company.snapshot());
  const snapshot = await company.snapshot(withModify);
  await company.apply(snapshot);
  const ana = await company.login(snapshot, 'ana@acme.test', 'direct');
  const left = await company.login(snapshot, 'omar@acme.test', 'gateway');
  expect(await outcome(ana, 'select distinct region from customers')).toEqual([{ region: 'EMEA' }]);
  await ana.query('create temp table mine (id int)').catch(() => undefined);
  expect(await fingerprint(admin)).not.toEqual(before);
  const target = company.target(snapshot);
  const removed = await uninstallCluster(target);
  expect(removed.length).toBeGreaterThan(10);
  await expect(left.query('select 1')).rejects.toThrow();
  expect(await fingerprint(admin)).toEqual(before);
  expect(await uninstallCluster(target)).toEqual([]);
  expect(await outcome(application, 'alter table customers add column later text; alter table customers drop column later')).toEqual(undefined);
  // And it can come back.
  await company.apply(snapshot);
  expect((await company.plan(snapshot)).operations).toEqual([]);
});

test('the application notices nothing: privileges, plans, statistics, errors', async () => {
  await uninstallCluster(company.target(await company.snapshot()));
  const questions: [Parameters<GovernedShop['application']>[0], string][] = [
    ['shop_app', 'select count(*)::int, sum(amount) from orders'],
    ['shop_app', `insert into customers (name, email, region) select name, email, region from customers where id = 1`],
    ['shop_app', `select most_common_vals::text from pg_stats where tablename = 'customers' and attname = 'region'`],
    ['shop_app', 'explain (costs off) select * from customers where id = 5'],
    ['shop_report', 'select count(*)::int from customer_orders'],
    ['shop_report', 'select * from customers'],
    ['shop_loader', 'explain (costs off) insert into orders (customer_id, region, amount) values (1, $$EMEA$$, 1)'],
    ['shop_backup', 'set row_security = off; begin; lock table customers in access share mode; select count(*)::int from customers; commit'],
    ['shop_app', 'select relname, relacl::text from pg_class where relnamespace = $$public$$::regnamespace and relname in ($$top_customers$$, $$customer_orders$$) order by 1'],
  ];
  const ask = async (): Promise<unknown[]> => {
    const answers: unknown[] = [];
    for (const [role, text] of questions) {
      const client = await company.application(role);
      const answer = await client.query(text).then(
        (result: pg.QueryResult | pg.QueryResult[]) => (Array.isArray(result) ? result.map((one) => one.rows) : result.rows),
        (error: pg.DatabaseError) => ({ code: error.code, message: error.message, detail: error.detail }),
      );
      answers.push([role, text, answer]);
      await client.end();
    }
    return answers;
  };
  const before = await ask();
  const snapshot = await company.snapshot(withModify);
  await company.apply(snapshot);
  expect(await ask()).toEqual(before);
  await uninstallCluster(company.target(snapshot));
  expect(await ask()).toEqual(before);
});
