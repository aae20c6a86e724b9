import { describe, expect, test } from 'vitest';
import type { PrincipalName } from '../../../../src/kernel/principal.ts';
import { ana, govern, loadParser, outcome, writer } from './sample.ts';

// Ways around a gateway that a statement can express, each with the SQLSTATE that it must end in, or the text that may
// be sent. The same ways are tried against a whole instance elsewhere; here the statement itself is judged.

loadParser();

/** [what it tries, text, SQLSTATE or the text that is sent, who; ana when absent] */
type Attack = readonly [string, string, string, PrincipalName?];

const g = '"writ_public"."customers"';

const identity: readonly Attack[] = [
  ['another role', 'set role bob', '42501'],
  ['no role', 'set role none', '42501'],
  ['another role, locally', 'set local role bob', '42501'],
  ['another role, by name', 'set "role" to bob', '42501'],
  ['another role, in capitals', "SET ROLE 'bob'", '42501'],
  ['the own role: nothing changes', 'reset role', 'reset role'],
  ['another session user', 'set session authorization gw', '42501'],
  [
    'the own session user: nothing changes',
    'set session authorization default',
    'set session authorization default',
  ],
  ['SET as a function', "select set_config('role', 'none', false)", '42501'],
  ['… in WHERE', "select 1 where set_config('role', 'none', false) = 'x'", '42501'],
  ['… qualified and quoted', `select pg_catalog."set_config"('role', 'none', false)`, '42501'],
  ['… in a CTE', "with x as (select set_config('role', 'none', false)) select 1", '42501'],
  ['… with an escaped name', `select U&"set\\005fconfig"('role', 'none', false)`, '42501'],
  ['… with computed arguments', "select set_config('ro' || 'le', 'none', false)", '42501'],
  [
    '… with named arguments',
    "select set_config(setting_name => 'role', new_value => 'x', is_local => true)",
    '42501',
  ],
  ['… through the view of settings', "update pg_settings set setting = 'none' where name = 'role'", '42501'],
  [
    '… in a DEFAULT of json_table',
    "select * from json_table('{}', '$' columns (a text path '$.a' default set_config('role', 'x', true) on empty))",
    '42501',
  ],
  ['a block of code', "do $$begin perform set_config('role','none',false); end$$", '42501'],
  [
    'a function with SET',
    "create function f() returns int language sql set role = 'none' as 'select 1'",
    '42501',
  ],
  ['the own password', "alter role current_user password 'x'", '42501'],
  ['the own settings', 'alter role current_user set search_path = x', '42501'],
  ['identity on a setting', "set app.tenant = 'root'", '42501'],
  ['identity on a setting, by function', "select set_config('request.jwt.claims', '{}', true)", '42501'],
];

const spellings: readonly Attack[] = [
  ['comments before', '/* /* */ */ --x\r select id from customers', `/* /* */ */ --x\r select id from ${g}`],
  ['odd white space', 'select\fid\vfrom\rcustomers', `select\fid\vfrom\r${g}`],
  ['escaped names', 'select id from U&"cust\\006Fmers"', `select id from ${g}`],
  ['escaped names with UESCAPE', `select id from U&"cust!006Fmers"\nUESCAPE '!'`, `select id from ${g}`],
  ['a quoted name in capitals is another', 'select * from "Customers"', '42P01'],
  ['a name in parts', 'select * from app . /**/ "raw"', 'select * from app . /**/ "raw"'],
  ['a second statement', 'select 1; drop table customers', '42501'],
  ['a second statement after empty ones', ';;;select 1;;drop table customers;', '42501'],
  [
    'quotes that swallow',
    "set standard_conforming_strings = off; select 'x\\', * from pg_authid -- '",
    '42501',
  ],
  ['NUL', 'select 1\0; drop table customers', '08P01'],
  [
    'dollar quotes',
    'select $x$ from pg_authid $$ $x$ from customers',
    `select $x$ from pg_authid $$ $x$ from ${g}`,
  ],
  ['continued strings', "select 'a'\n'b' from customers", `select 'a'\n'b' from ${g}`],
  ['backslashes in E strings', "select E'\\'' from customers -- '", `select E'\\'' from ${g} -- '`],
  ['TABLE', 'table customers', `table ${g}`],
  ['SELECT INTO', 'select * into x from customers', '42501'],
  ['SELECT INTO a temporary table', 'select * into temp x from customers', '42501'],
  ['CREATE TABLE AS', 'create table x as table customers', '42501'],
  ['CREATE MATERIALIZED VIEW', 'create materialized view x as table customers', '42501'],
  ['CREATE VIEW', 'create view x as table customers', '42501'],
  ['CREATE TEMP TABLE', 'create temp table x (a int)', '42501'],
  ['a sample', 'select * from customers tablesample bernoulli (100)', '0A000'],
  ['ROWS FROM', "select * from rows from (pg_ls_dir('.')) x", '42501'],
  ['a change inside a CTE', 'with d as (delete from orders returning *) select * from d', '42501'],
  [
    'an update on conflict',
    'insert into orders (id) values (1) on conflict (id) do update set region = excluded.region',
    '0A000',
    writer,
  ],
  ['EXPLAIN of a change', 'explain analyze delete from orders', '42501'],
  ['EXPLAIN that counts', 'explain (analyze, serialize) select * from customers', '0A000'],
  ['EXPLAIN that counts, switched on by a number', 'explain (analyze 1) select * from customers', '0A000'],
  [
    'EXPLAIN that does not count',
    'explain (analyze off) select * from customers',
    `explain (analyze off) select * from ${g}`,
  ],
  ['PREPARE of a change', 'prepare x as delete from orders', '42501'],
  ['a cursor on the system', 'declare c cursor for select * from pg_authid', '42501'],
  ['COPY of a change', 'copy (delete from orders returning *) to stdout', '42501'],
  ['a rule', 'create rule r as on select to customers do instead nothing', '42501'],
  ['CALL', 'call p()', '0A000'],
  ['EXPLAIN of CREATE', 'explain create table x as table customers', '42501'],
];

const leaks: readonly Attack[] = [
  [
    'predicates pushed below a filter',
    'select * from (select * from customers) x where id <> 1 or email::int > 0',
    `select * from (select * from ${g}) x where id <> 1 or email::int > 0`,
  ],
  ['statistics', 'select * from pg_statistic', '42501'],
  ['statistics, qualified', 'select * from pg_catalog."pg_statistic"', '42501'],
  ['a partition', 'select * from public.events_2026_01', '42501'],
  ['row security off', 'set row_security = off', '42501'],
  [
    'columns as rows, text, arrays',
    'select row_to_json(c), c::text, array_agg(email), (c).email from customers c group by 1, 2',
    `select row_to_json(c), c::text, array_agg(email), (c).email from ${g} c group by 1, 2`,
  ],
  [
    'RETURNING of the old row',
    'merge into orders o using customers c on true when matched then delete returning old.amount',
    '42501',
  ],
  ['rows locked', 'select * from customers for share', '42501'],
  ['rows locked in a subquery', 'select * from (select * from customers) x for update', '42501'],
  ['rows locked further in', 'select 1 where exists (select 1 from customers for key share)', '42501'],
  ['texts of others', 'select * from pg_stat_statements', '42501'],
  ['another server', "select * from dblink('host=127.0.0.1', 'select 1') as x(a int)", '0A000'],
  ['SQL in text', "select query_to_xml('select * from customers', true, false, '')", '0A000'],
  ['tables by name', "select table_to_xml('public.customers', true, false, '')", '0A000'],
  ['schemas by name', "select pg_catalog.schema_to_xml('public', true, false, '')", '0A000'],
  ['the database', "select database_to_xml_and_xmlschema(true, false, '')", '0A000'],
  ['SQL in text as a field', "select ('select email from customers'::text).ts_stat", '0A000'],
  ['SQL in text, rewriting', "select ts_rewrite('a'::tsquery, 'select t, s from aliases')", '0A000'],
  [
    '… its harmless sibling',
    "select ts_rewrite('a'::tsquery, 'a', 'b')",
    "select ts_rewrite('a'::tsquery, 'a', 'b')",
  ],
  ['a definer function of the owner', 'select public.customer_email(1)', '42501'],
  ['… as a field', 'select (1).customer_email', '42501'],
  ['… of a row', 'select c.customer_email from customers c', '42501'],
  ['… from FROM', 'select * from customer_email(1)', '42501'],
  ['… in ORDER BY', 'select 1 from countries order by customer_email(1)', '42501'],
  ['… in a window', 'select count(*) over (partition by customer_email(1)) from countries', '42501'],
  ['… in a FILTER', 'select count(*) filter (where customer_email(1) is null) from countries', '42501'],
  ['… in LIMIT', 'select 1 limit customer_email(1)', '42501'],
  ['… in EXECUTE', 'execute p (customer_email(1))', '42501'],
  ['… in VALUES', 'values (customer_email(1))', '42501'],
  ['… in GROUPING SETS', 'select 1 from countries group by grouping sets ((customer_email(1)))', '42501'],
];

const damage: readonly Attack[] = [
  ['a program of the server', "copy customers to program 'cat'", '42501'],
  ['a program of the server, by query', "copy (select 1) to program 'cat'", '42501'],
  ['a file of the server', "copy orders from '/etc/passwd'", '42501'],
  ['reading files', "select pg_read_file('/etc/passwd')", '42501'],
  ['reading files as a field', "select ('/etc/passwd'::text).pg_read_file", '42501'],
  ['listing files', "select * from pg_ls_dir('/')", '42501'],
  ['large objects', "select lo_from_bytea(0, 'x')", '42501'],
  ['large objects as a field', 'select (12345).lo_unlink', '42501'],
  ['large objects, from the table', 'select * from pg_largeobject', '42501'],
  ['an extension', 'create extension dblink', '42501'],
  ['a library', "load 'x'", '42501'],
  ['settings of the server', 'alter system set x = 1', '42501'],
  ['reloading', 'select pg_reload_conf()', '42501'],
  ['replica mode', 'set session_replication_role = replica', '42501'],
  ['silence', 'set log_statement = none', '42501'],
  ['a table lock', 'lock table customers', '0A000'],
  ['two-phase commit', "prepare transaction 'x'", '0A000'],
  ['two-phase commit of others', "commit prepared 'x'", '0A000'],
  ['a snapshot for others', 'select pg_export_snapshot()', '0A000'],
  ['a snapshot of others', "set transaction snapshot '00000003-1'", '0A000'],
  ['advisory locks are the session’s own', 'select pg_advisory_lock(1)', 'select pg_advisory_lock(1)'],
  ['another path', 'set search_path = evil, pg_catalog', '0A000'],
  ['another path, by function', "select set_config('search_path', 'evil', false)", '0A000'],
  ['operators of nobody', 'select 1 operator(pg_temp.=) 1', '42501'],
  ['ending others', 'select pg_terminate_backend(1)', '42501'],
  ['channels', 'listen x', '0A000'],
  ['channels, sending', "select pg_notify('x', 'y')", '42501'],
  ['truncation', 'truncate customers', '42501'],
  ['grants', 'grant select on customers to public', '42501'],
  ['owners', 'alter table customers owner to ana', '42501'],
  ['vacuum', 'vacuum full customers', '42501'],
  ['refresh', 'refresh materialized view customer_orders_daily', '42501'],
  ['comments', "comment on table customers is 'x'", '42501'],
  ['another encoding', "set client_encoding = 'latin1'", '42501'],
  ['another encoding by NAMES', "set names 'sjis'", '42501'],
];

const sections = { identity, spellings, leaks, damage };

describe.each(Object.entries(sections))('%s', (_section, attacks) => {
  test.each(attacks.map((attack) => ({ attack, what: attack[0], text: attack[1] })))(
    '$what: $text',
    ({ attack }) => {
      const [, text, expected, principal = ana] = attack;
      const query = govern(text, principal);
      if (/^[0-9A-Z]{5}$/.test(expected)) {
        expect(outcome(query).slice(0, 6)).toBe(`${expected} `);
        expect(query.text).toBe('');
        expect(query.parts.some((part) => part.decision.effect === 'deny')).toBe(true);
      } else expect(outcome(query)).toBe(expected);
    },
  );
});
