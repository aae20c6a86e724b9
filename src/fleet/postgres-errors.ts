import { WritError } from '../kernel/errors.ts';

// What Postgres and the network say, as WritErrors. An error keeps the server's SQLSTATE, so that callers can tell
// 55P03 from 42501 without reading prose.

/** A WritError with the server's own SQLSTATE; `unreachable` where no server answered or the connection is gone. */
export function mapPostgresError(thrown: unknown, where: string): WritError {
  if (thrown instanceof WritError) return thrown;
  const server = serverError(thrown);
  if (server === undefined || connectionIsGone(server.code)) {
    return new WritError('unreachable', {
      message: `${where} cannot be reached`,
      detail: thrown instanceof Error ? firstLine(thrown) : String(thrown),
      cause: thrown,
    });
  }
  return new WritError(server.code === '42501' ? 'permission_denied' : 'query_failed', {
    message: `${where}: ${server.message}`,
    ...(server.detail === undefined ? {} : { detail: server.detail }),
    ...(server.hint === undefined ? {} : { hint: server.hint }),
    sqlstate: server.code,
    cause: thrown,
  });
}

/** The connection that raised this cannot be used again. */
export function connectionIsGone(sqlstate: string): boolean {
  return sqlstate.startsWith('08') || sqlstate.startsWith('57P');
}

const transientStates: ReadonlySet<string> = new Set([
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // lock_timeout
  '57014', // statement_timeout
]);

const concurrentUpdate = /tuple concurrently (updated|deleted)/;
const concurrentInsert = /pg_(default_acl|authid|auth_members|shdepend|db_role_setting)/;

/**
 * Whether the same work may succeed when it is tried again from its start: two sessions changed one catalog row, a
 * lock was not given in time. Refusals (42501, 2BP01, 25006) and a server that is away are not transient.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof WritError)) return false;
  if (transientStates.has(error.sqlstate)) return true;
  if (error.sqlstate === 'XX000') return concurrentUpdate.test(error.message);
  return error.sqlstate === '23505' && concurrentInsert.test(error.message);
}

/**
 * Runs `work` until it succeeds or fails for good, at most `attempts` times (5), with a growing pause in between.
 * @throws the last error
 */
export async function retryTransient<T>(
  work: () => Promise<T>,
  { attempts = 5, pauseMs = 20 }: { attempts?: number; pauseMs?: number } = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= attempts || !isTransient(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs * 2 ** (attempt - 1)));
    }
  }
}

interface ServerError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** An ErrorResponse, told from a socket's error by its five-character code. */
function serverError(thrown: unknown): ServerError | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('severity' in thrown)) return undefined;
  const { code } = thrown;
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return undefined;
  return {
    code,
    message: thrown.message,
    ...('detail' in thrown && typeof thrown.detail === 'string' ? { detail: thrown.detail } : {}),
    ...('hint' in thrown && typeof thrown.hint === 'string' ? { hint: thrown.hint } : {}),
  };
}

function firstLine(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code} ` : '';
  return `${code}${error.message.split('\n')[0] ?? ''}`;
}
