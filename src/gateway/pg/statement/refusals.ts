import type { ErrorCode } from '../../../kernel/errors.ts';
import { type Problem, refused } from './problem.ts';

// Statements that are refused whatever they name, each with its reason. What stands in no list is DDL, or new, and is
// refused as DDL is.

interface Refusal {
  readonly code: Extract<ErrorCode, 'permission_denied' | 'refused_on_purpose'>;
  readonly detail: string;
  readonly hint?: string;
}

const ddl: Refusal = {
  code: 'permission_denied',
  detail: "people read and write data; schema changes are the owner's",
  hint: "run migrations as the application's own role",
};

const serverWide: Refusal = {
  code: 'permission_denied',
  detail: 'it concerns the server or its roles, which are managed outside of sessions',
};

const refusals: ReadonlyMap<string, Refusal> = new Map<string, Refusal>([
  ['DoStmt', { code: 'permission_denied', detail: 'the code of a DO block cannot be governed' }],
  [
    'CallStmt',
    { code: 'refused_on_purpose', detail: 'procedures may end transactions and run what cannot be seen' },
  ],
  ['ListenStmt', { code: 'refused_on_purpose', detail: 'channels carry data past all rules' }],
  ['NotifyStmt', { code: 'refused_on_purpose', detail: 'channels carry data past all rules' }],
  [
    'LockStmt',
    { code: 'refused_on_purpose', detail: 'a table lock stops everybody, the application included' },
  ],
  ['LoadStmt', serverWide],
  ['CheckPointStmt', serverWide],
  ['AlterSystemStmt', serverWide],
  ['AlterRoleStmt', serverWide],
  ['AlterRoleSetStmt', serverWide],
  ['CreateRoleStmt', serverWide],
  ['DropRoleStmt', serverWide],
  ['GrantStmt', { ...serverWide, detail: 'grants are made in policy files' }],
  ['GrantRoleStmt', { ...serverWide, detail: 'grants are made in policy files' }],
  ['VacuumStmt', serverWide],
  ['ReindexStmt', serverWide],
  ['ClusterStmt', serverWide],
]);

/** Why no statement of this kind is let through. @param kind the parser's name of it */
export function refusalOf(kind: string): Problem {
  const { code, detail, hint } = refusals.get(kind) ?? ddl;
  const command = commandOf(kind);
  const message =
    code === 'permission_denied' ? `permission denied to run ${command}` : `${command} is refused on purpose`;
  return refused(code, message, { detail, ...(hint === undefined ? {} : { hint }) });
}

/** `AlterRoleStmt` → `ALTER ROLE`. */
export function commandOf(kind: string): string {
  const known: Record<string, string> = {
    CreateStmt: 'CREATE TABLE',
    CreateTableAsStmt: 'CREATE TABLE AS',
    ViewStmt: 'CREATE VIEW',
    IndexStmt: 'CREATE INDEX',
    RefreshMatViewStmt: 'REFRESH MATERIALIZED VIEW',
    LockStmt: 'LOCK TABLE',
    CheckPointStmt: 'CHECKPOINT',
    RenameStmt: 'ALTER RENAME',
  };
  return (
    known[kind] ??
    kind
      .replace(/Stmt$/, '')
      .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
      .toUpperCase()
  );
}
