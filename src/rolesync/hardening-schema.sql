-- What was taken from PUBLIC, so that it can be given back exactly. By oid: objects are renamed.
set local role writ_owner;
create table if not exists writ.hardening (
  class text not null,
  oid oid not null,
  attnum smallint not null,
  privilege text not null,
  finding text not null,
  since timestamptz not null default clock_timestamp(),
  primary key (class, oid, attnum, privilege)
);
revoke all on writ.hardening from public;
reset role;
