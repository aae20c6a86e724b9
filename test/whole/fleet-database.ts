import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { openCluster } from '../../src/fleet/open-cluster.ts';
import { sql } from '../../src/kernel/sql.ts';

// A small database with one of everything that discovery must tell apart, and the lease table that logins need.

export interface PrivatePostgres {
  readonly adminUrl: string;
  stop(): Promise<void>;
}

/** A cluster for one test file, gone afterwards. */
export async function privatePostgres(): Promise<PrivatePostgres & { readonly home: string }> {
  const home = mkdtempSync(join(tmpdir(), 'writ-fleet-'));
  const server = await startEmbeddedPostgres({ home, port: 0 });
  return {
    home,
    adminUrl: server.adminUrl,
    async stop() {
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface FleetDatabase extends PrivatePostgres {
  readonly database: string;
}

export async function fleetDatabase(): Promise<FleetDatabase> {
  const server = await privatePostgres();
  const database = 'fleet_shop';
  const cluster = openCluster({ name: 'fixture', adminUrl: server.adminUrl });
  await cluster.withAdmin('postgres', async (connection) => {
    await connection.query(sql`create role fleet_app login password 'app'`);
    await connection.query(sql`create database fleet_shop owner fleet_app`);
  });
  await cluster.withAdmin(database, async (connection) => {
    await connection.query(application);
    await connection.query(leases);
  });
  await cluster.close();
  return { adminUrl: server.adminUrl, database, stop: server.stop };
}

const application = sql`
  set role fleet_app; set search_path = public;
  create table customers (id integer generated always as identity primary key, email text unique, region text not null);
  comment on table customers is 'people';
  create table orders (id serial primary key, customer_id integer references customers, amount numeric(12,2));
  create view customer_orders as select c.email, c.region, o.amount from customers c join orders o on o.customer_id = c.id;
  create materialized view region_totals as select region, count(*) from customers group by region;
  create table events (at timestamptz not null, what text) partition by range (at);
  create table events_2026_01 partition of events for values from ('2026-01-01') to ('2026-02-01');
  create table events_2026_02 partition of events for values from ('2026-02-01') to ('2026-03-01') partition by list (what);
  create table events_2026_02_a partition of events_2026_02 for values in ('a');
  create function customer_count(wanted text) returns bigint language sql security definer
    as 'select count(*) from public.customers where region = wanted';
  create schema app;
  create domain app.positive as integer check (value > 0);
  create collation app.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  create procedure app.tidy() language sql as 'select 1';
  create table app."Odd Name" (gone integer, "Über" varchar(40), c char(3), n numeric(10,2), f real, d app.positive, j jsonb,
    t timestamptz, ci text collate app.ci, g text generated always as ("Über" || 'x') stored);
  alter table app."Odd Name" drop column gone;
  create view app.customers_by_region as select region, count(*) from public.customer_orders group by region;
  reset role;
  create schema writ_public; create view writ_public.customers as select 1 as hidden;`;

const leases = sql`
  create schema writ;
  create table writ.lease (login name primary key, principal text not null, door text not null,
    expires_at timestamptz not null, revoked_at timestamptz, credential text);
  create schema writ_seen;
  create view writ_seen.lease_live as select from writ.lease
    where login = session_user and revoked_at is null and expires_at > clock_timestamp();
  grant usage on schema writ_seen to public; grant select on writ_seen.lease_live to public;`;
