-- Needs a superuser. The functions run as writ_owner.
drop event trigger if exists writ_ddl_start;
drop event trigger if exists writ_ddl_end;
create event trigger writ_ddl_start on ddl_command_start
  when tag in ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER TYPE', 'DROP TABLE', 'DROP FOREIGN TABLE', 'DROP VIEW',
    'DROP MATERIALIZED VIEW', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP FUNCTION', 'DROP ROUTINE',
    'DROP AGGREGATE', 'DROP OPERATOR', 'DROP COLLATION', 'DROP EXTENSION', 'DROP OWNED')
  execute function writ.on_ddl_start();
create event trigger writ_ddl_end on ddl_command_end
  when tag in ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER TYPE', 'DROP TABLE', 'DROP FOREIGN TABLE', 'DROP VIEW',
    'DROP MATERIALIZED VIEW', 'DROP SCHEMA', 'DROP TYPE', 'DROP DOMAIN', 'DROP FUNCTION', 'DROP ROUTINE',
    'DROP AGGREGATE', 'DROP OPERATOR', 'DROP COLLATION', 'DROP EXTENSION', 'DROP OWNED', 'ALTER VIEW',
    'ALTER MATERIALIZED VIEW', 'ALTER SCHEMA', 'CREATE VIEW', 'CREATE MATERIALIZED VIEW')
  execute function writ.on_ddl_end();
