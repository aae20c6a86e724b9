-- Schema `writ`: what Writ keeps inside a governed database. Run in one transaction by the administrative login, after
-- the roles writ_owner and writ_managed exist; running it again changes nothing. Nobody but writ_owner (NOLOGIN) and
-- superusers reads or writes the tables. Every function has a pinned search_path and answers for `session_user` only.
create schema if not exists writ authorization writ_owner;
set local role writ_owner;

-- Who holds which login, until when. A login without a live lease sees nothing.
create table if not exists writ.lease (
  login name primary key,
  principal text not null,
  door text not null check (door in ('gateway', 'direct')),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  credential text
);
create table if not exists writ.principal_attribute (
  principal text not null,
  name text not null,
  "values" text[] not null,
  primary key (principal, name)
);
-- A row says that the policy does not bind the principal. No row: it binds.
create table if not exists writ.exemption (
  principal text not null,
  policy text not null,
  primary key (principal, policy)
);
create table if not exists writ.membership (
  principal text not null,
  grp text not null,
  primary key (principal, grp)
);
-- The key of token(), padded for both hashes of HMAC-SHA-256; one row while a policy uses it. No constraint on the
-- blocks: an error would show the row. No function over it: each reader could have guesses hashed.
create table if not exists writ.token_key (
  one boolean primary key default true check (one),
  inner_block bytea not null,
  outer_block bytea not null
);
-- What the shadow views are made from; the event triggers make them again from here.
create table if not exists writ.compiled_view (
  view_schema name not null,
  view_name name not null,
  ordinal integer not null,
  base_oid oid not null,
  base_schema name not null,
  base_name name not null,
  source jsonb not null,
  grants jsonb not null default '[]',
  fingerprint text not null,
  -- md5 of the view as Postgres prints it, at the moment it was made: tells a view that somebody replaced
  deparsed text,
  state text not null default 'made' check (state in ('made', 'withdrawn', 'refused')),
  reason text,
  primary key (view_schema, view_name)
);
create table if not exists writ.paused (
  base_schema name not null,
  base_name name not null,
  since timestamptz not null default clock_timestamp(),
  by_whom text not null default '',
  primary key (base_schema, base_name)
);

-- ── The person, by session_user ──────────────────────────────────────────────────────────────────────────────────
create or replace function writ.principal() returns text
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $writ$
begin
  return (select l.principal from writ.lease l
          where l.login = session_user and l.revoked_at is null and l.expires_at > clock_timestamp());
end $writ$;

-- The values of an attribute; an empty array when there are none, or no live lease.
create or replace function writ.attribute(name text) returns text[]
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $writ$
begin
  return coalesce((select a."values" from writ.lease l join writ.principal_attribute a on a.principal = l.principal
                   where l.login = session_user and l.revoked_at is null and l.expires_at > clock_timestamp()
                     and a.name = attribute.name), '{}');
end $writ$;

create or replace function writ.exempt(policy text) returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $writ$
begin
  return exists (select from writ.lease l join writ.exemption e on e.principal = l.principal
                 where l.login = session_user and l.revoked_at is null and l.expires_at > clock_timestamp()
                   and e.policy = exempt.policy);
end $writ$;

create or replace function writ.is_member(grp text) returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $writ$
begin
  return exists (select from writ.lease l join writ.membership m on m.principal = l.principal
                 where l.login = session_user and l.revoked_at is null and l.expires_at > clock_timestamp()
                   and m.grp = is_member.grp);
end $writ$;

-- True, or SQLSTATE 28000. Views for direct logins ask it once a statement.
create or replace function writ.lease_live() returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $writ$
begin
  if exists (select from writ.lease l
             where l.login = session_user and l.revoked_at is null and l.expires_at > clock_timestamp()) then
    return true;
  end if;
  raise exception using errcode = '28000', message = 'the lease of this credential has ended',
    hint = 'Get a new one: writ credentials CATALOG --direct';
end $writ$;

-- ── The application's DDL goes on ────────────────────────────────────────────────────────────────────────────────
-- Views pin the columns that they read. Before DDL that this would refuse, the views of the tables that it names are
-- dropped; after it they are made again, in the same transaction. All of it runs as writ_owner, who owns the views and
-- can read what they read, and nothing else: whoever triggers it gains nothing.

-- Why this view cannot be made at present; null when it can.
create or replace function writ.view_obstacle(v writ.compiled_view) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $writ$
declare
  named oid := to_regclass(format('%I.%I', v.base_schema, v.base_name));
  wanted text;
begin
  if exists (select from writ.paused p where p.base_schema = v.base_schema and p.base_name = v.base_name) then
    return 'paused';
  end if;
  if named is null then
    return 'its table is gone';
  end if;
  if v.source ->> 'definition' is not null then
    if md5(pg_get_viewdef(named)) is distinct from v.source ->> 'definition' then
      return 'the view that it copies was changed';
    end if;
  elsif named <> v.base_oid then
    return 'its name belongs to another table now';
  end if;
  select r ->> 'name' into wanted
  from jsonb_array_elements(v.source -> 'ruled') r
  left join pg_attribute a on a.attrelid = named and a.attnum = (r ->> 'attnum')::smallint
    and not a.attisdropped and a.attname = r ->> 'name'
  left join pg_type t on t.oid = a.atttypid and t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace
  left join pg_collation k on k.oid = a.attcollation
  where t.oid is null or not coalesce(k.collisdeterministic, true)
  limit 1;
  if wanted is not null then
    return format('the column %s, which the policy reads, is gone, renamed or of a type without rules', wanted);
  end if;
  if exists (select from jsonb_array_elements(v.source -> 'refs') r
             where to_regclass(format('%I.%I', r ->> 'schema', r ->> 'name')) is distinct from (r ->> 'oid')::oid::regclass) then
    return 'a table that it reads is gone or another one';
  end if;
  if exists (select from jsonb_array_elements(v.source -> 'pins') p
             where md5(pg_get_viewdef(to_regclass(format('%I.%I', p ->> 'schema', p ->> 'name')))) is distinct from p ->> 'definition') then
    return 'a view that it reads was changed';
  end if;
  if exists (select from jsonb_array_elements(v.source -> 'dependsOn') d
             where to_regclass(format('%I.%I', d ->> 'schema', d ->> 'name')) is null) then
    return 'a view that it reads is withdrawn';
  end if;
  return null;
end $writ$;

-- The columns as they are called now; those that are gone are left out.
create or replace function writ.view_columns(v writ.compiled_view) returns name[]
  language sql stable security definer set search_path = pg_catalog, pg_temp as $writ$
  select array_agg(a.attname order by a.attnum)
  from jsonb_array_elements(v.source -> 'columns') c
  join pg_attribute a on a.attrelid = v.base_oid and a.attnum = (c ->> 'attnum')::smallint and not a.attisdropped
$writ$;

create or replace function writ.view_statement(v writ.compiled_view) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $writ$
declare
  list text;
  gate text := '';
  options text := case when (v.source ->> 'barrier')::boolean then ' with (security_barrier=true)' else '' end;
begin
  if v.source ->> 'body' is not null then
    return format('create view %I.%I%s as %s', v.view_schema, v.view_name, options, v.source ->> 'body');
  end if;
  select string_agg(
    case when c ->> 'expression' is null then format('%I', a.attname)
         else format('(%s)::%s as %I', c ->> 'expression', format_type(a.atttypid, a.atttypmod), a.attname) end,
    ', ' order by a.attnum) into list
  from jsonb_array_elements(v.source -> 'columns') c
  join pg_attribute a on a.attrelid = v.base_oid and a.attnum = (c ->> 'attnum')::smallint and not a.attisdropped;
  if v.source ->> 'where' is not null then
    gate := ' where ' || (v.source ->> 'where');
  end if;
  if (v.source ->> 'checkOption')::boolean then
    gate := gate || ' with cascaded check option';
  end if;
  return format('create view %I.%I%s as select %s from %I.%I%s', v.view_schema, v.view_name, options, list,
                v.base_schema, v.base_name, gate);
end $writ$;

-- Drops a view and the copies that read it; what was granted on them is kept for make_view.
create or replace function writ.drop_view(v writ.compiled_view) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $writ$
declare
  standing oid := to_regclass(format('%I.%I', v.view_schema, v.view_name));
  copy writ.compiled_view;
begin
  if standing is null then
    return;
  end if;
  for copy in
    select c.* from writ.compiled_view c
    where c.source -> 'dependsOn' @> jsonb_build_array(jsonb_build_object('schema', v.view_schema, 'name', v.view_name))
  loop
    perform writ.drop_view(copy);
  end loop;
  update writ.compiled_view c set state = 'withdrawn', reason = 'dropped for a change of its table', grants = coalesce(
    (select jsonb_agg(jsonb_build_object('role', g.role, 'privileges', g.privileges))
     from (select pg_get_userbyid(a.grantee) as role, jsonb_agg(a.privilege_type) as privileges
           from pg_class k, aclexplode(k.relacl) a
           where k.oid = standing and a.grantee <> k.relowner and a.grantee <> 0 group by 1) g), '[]')
  where c.view_schema = v.view_schema and c.view_name = v.view_name;
  -- CASCADE: somebody's temporary view must not stop the application's migration.
  execute format('drop view %I.%I cascade', v.view_schema, v.view_name);
end $writ$;

-- Makes one view with its grants; an error leaves it withdrawn and is not passed on.
create or replace function writ.make_view(v writ.compiled_view) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $writ$
declare
  entry jsonb;
begin
  execute writ.view_statement(v);
  for entry in select * from jsonb_array_elements(v.grants) loop
    execute format('grant %s on %I.%I to %I',
      (select string_agg(p, ', ') from jsonb_array_elements_text(entry -> 'privileges') p
       where p in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')),
      v.view_schema, v.view_name, entry ->> 'role');
  end loop;
  update writ.compiled_view c set state = 'made', reason = null,
    deparsed = md5(pg_get_viewdef(to_regclass(format('%I.%I', v.view_schema, v.view_name)))),
    fingerprint = case when v.source ->> 'body' is not null
                         or writ.view_columns(v) = (select array_agg((e ->> 'name')::name order by (e ->> 'attnum')::int)
                                                    from jsonb_array_elements(v.source -> 'columns') e)
                       then c.fingerprint else 'rebuilt with other columns' end
  where c.view_schema = v.view_schema and c.view_name = v.view_name;
  return true;
exception when others then
  update writ.compiled_view c set state = 'withdrawn', reason = sqlstate || ': ' || sqlerrm
  where c.view_schema = v.view_schema and c.view_name = v.view_name;
  return false;
end $writ$;

-- Drops what must not stand, makes what is missing. Views stand in the order in which they can be made.
create or replace function writ.restore_views(touched oid[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $writ$
declare
  v writ.compiled_view;
  stands boolean;
  obstacle text;
begin
  for v in
    select c.* from writ.compiled_view c
    left join pg_class s on s.oid = to_regclass(format('%I.%I', c.view_schema, c.view_name))
    left join pg_class b on b.oid = to_regclass(format('%I.%I', c.base_schema, c.base_name))
    where c.state <> 'refused'
      and (s.oid is null or b.oid is distinct from c.base_oid or c.base_oid = any (touched)
           or c.source ->> 'definition' is not null)
    order by c.ordinal
  loop
    stands := to_regclass(format('%I.%I', v.view_schema, v.view_name)) is not null;
    obstacle := writ.view_obstacle(v);
    if obstacle is not null then
      if stands then
        perform writ.drop_view(v);
      end if;
      update writ.compiled_view c set state = 'withdrawn', reason = obstacle
      where c.view_schema = v.view_schema and c.view_name = v.view_name
        and (c.state, c.reason) is distinct from ('withdrawn', obstacle);
    elsif not stands then
      perform writ.make_view(c) from writ.compiled_view c
      where c.view_schema = v.view_schema and c.view_name = v.view_name;
    elsif v.source ->> 'body' is null and writ.view_columns(v) is distinct from
          (select array_agg(a.attname order by a.attnum) from pg_attribute a
           where a.attrelid = to_regclass(format('%I.%I', v.view_schema, v.view_name)) and a.attnum > 0) then
      perform writ.drop_view(v);
      perform writ.make_view(c) from writ.compiled_view c
      where c.view_schema = v.view_schema and c.view_name = v.view_name;
    end if;
  end loop;
end $writ$;

create or replace function writ.on_ddl_start() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $writ$
declare
  words text := lower(current_query());
  first_word text := substring(words from '^(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*+[^*/])*\*+/)*([a-z]+)');
  -- DDL inside DO, functions or triggers does not show its names.
  hidden boolean := first_word is null
    or first_word not in ('alter', 'drop', 'begin', 'start', 'set', 'lock', 'comment', 'create')
    or position('u&"' in words) > 0
    or (first_word not in ('alter', 'drop')
        and words ~ '\m(do|call|select|execute|insert|update|delete|merge|with|values)\M');
  -- Who gives the command; current_user is writ_owner here. This trigger comes before Postgres asks whether he may.
  caller name := coalesce(nullif(current_setting('role', true), 'none'), session_user);
  v writ.compiled_view;
begin
  if current_setting('writ.rebuilding', true) = 'on' then
    return;
  end if;
  if tg_tag in ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER TYPE') and not hidden
     and words !~ '\m(type|drop)\M' then
    return;  -- nothing that a view would refuse
  end if;
  perform set_config('writ.rebuilding', 'on', true);
  begin
    for v in
      with recursive hit as (
        select c.view_schema, c.view_name from writ.compiled_view c
        join pg_class b on b.oid = to_regclass(format('%I.%I', c.base_schema, c.base_name))
        join pg_namespace n on n.oid = b.relnamespace
        -- Only who may change the table moves its views: nobody else can take a lock on them by trying.
        where (pg_has_role(caller, b.relowner, 'member') or pg_has_role(caller, n.nspowner, 'member'))
          and (hidden
           or tg_tag in ('DROP OWNED', 'DROP SCHEMA', 'DROP EXTENSION')
           or exists (select from jsonb_array_elements_text(c.source -> 'mentions') m where position(lower(replace(m, '"', '""')) in words) > 0)
           or (tg_tag not in ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'DROP TABLE', 'DROP FOREIGN TABLE')
               and c.source ->> 'definition' is not null))
        union
        select c.view_schema, c.view_name from hit h
        join writ.compiled_view c on c.source -> 'dependsOn' @> jsonb_build_array(
          jsonb_build_object('schema', h.view_schema, 'name', h.view_name))
      )
      select c.* from hit join writ.compiled_view c using (view_schema, view_name)
      where to_regclass(format('%I.%I', c.view_schema, c.view_name)) is not null
      order by c.ordinal desc
    loop
      perform writ.drop_view(v);
    end loop;
  exception when others then
    null;  -- the application's DDL then meets our views, and says so
  end;
  perform set_config('writ.rebuilding', '', true);
end $writ$;

create or replace function writ.on_ddl_end() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $writ$
begin
  if current_setting('writ.rebuilding', true) = 'on' then
    return;
  end if;
  perform set_config('writ.rebuilding', 'on', true);
  begin
    perform writ.restore_views((select array_agg(objid) from pg_event_trigger_ddl_commands()));
  exception when others then
    null;  -- drift reports what is missing
  end;
  perform set_config('writ.rebuilding', '', true);
end $writ$;

revoke all on all functions in schema writ from public;
revoke all on all tables in schema writ from public;
grant usage on schema writ to writ_managed;
grant execute on function writ.principal(), writ.attribute(text), writ.exempt(text), writ.is_member(text),
  writ.lease_live() to writ_managed;
reset role;
