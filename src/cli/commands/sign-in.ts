import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { processEnvironment } from '../../config/settings.ts';
import { lifetimeSeconds } from '../../gateway/http/credential-lifetime.ts';
import { WritError } from '../../kernel/errors.ts';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import { type Answer, formatTable } from '../output.ts';

/** What `POST /api/v1/credentials` answers. */
interface Credential {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly expiresAt: string;
}

interface CredentialOptions {
  readonly direct?: boolean;
  readonly lifetime?: string;
  readonly purpose?: string;
  readonly ticket?: string;
}

/** token, credentials, whoami, psql. */
export function signInCommands(program: Command, context: CliContext): void {
  clientCommand(program, 'token', 'print an OIDC token').action(
    action(context, async (connection) => {
      if (connection.as === undefined) {
        throw new WritError('invalid_argument', {
          message: 'whose token?',
          hint: 'writ token --as ana@acme.test',
        });
      }
      const token = await connection.token();
      return { value: { token }, text: token };
    }),
  );
  clientCommand(program, 'whoami', 'who the gateway takes you for').action(
    action(context, async (connection) => {
      const who = await connection.api.call<{ principal: string; groups: string[]; credential: string }>(
        'GET',
        '/api/v1/whoami',
      );
      return {
        value: who,
        text: `${who.principal}${who.groups.length > 0 ? ` (${who.groups.join(', ')})` : ''}`,
      };
    }),
  );
  withCredentialOptions(clientCommand(program, 'credentials <catalog>', 'issue a short-lived credential'))
    .option('--direct', 'to the cluster itself, past the gateway')
    .action(action<[string], CredentialOptions>(context, issue));
  credentialManagement(program, context);
  withCredentialOptions(clientCommand(program, 'psql <catalog> [args...]', 'open psql on a catalog'))
    .allowUnknownOption()
    .action(action<[string, string[]], CredentialOptions>(context, psql));
}

function withCredentialOptions(command: Command): Command {
  return command
    .option(
      '--lifetime <seconds>',
      `seconds until it expires: ${lifetimeSeconds.default}, at most ${lifetimeSeconds.most}; with --direct ${lifetimeSeconds.directDefault}, at most ${lifetimeSeconds.directMost}`,
    )
    .option('--purpose <text>', 'why, for the record')
    .option('--ticket <id>', 'ticket, for the record');
}

function credentialManagement(program: Command, context: CliContext): void {
  clientCommand(program, 'credentials-ls', 'list live credentials').action(
    action(context, async (connection) => {
      const { credentials } = await connection.api.call<{ credentials: Record<string, unknown>[] }>(
        'GET',
        '/api/v1/credentials',
      );
      const columns = ['id', 'principal', 'catalog', 'direct', 'issuedAt', 'expiresAt'];
      return {
        value: credentials,
        text: formatTable(
          columns,
          credentials.map((c) => columns.map((name) => c[name])),
        ),
      };
    }),
  );
  clientCommand(program, 'revoke <credential>', 'revoke a credential; its sessions end').action(
    action<[string], object>(context, async (connection, _options, id) => {
      const value = await connection.api.call<object>(
        'DELETE',
        `/api/v1/credentials/${encodeURIComponent(id)}`,
      );
      return { value, text: `revoked ${id}` };
    }),
  );
}

/** The operator holds no data: a session is somebody's. */
function expectPerson(connection: Connection, catalog: string): void {
  if (connection.as !== undefined) return;
  throw new WritError('invalid_argument', {
    message: 'whose session?',
    detail: 'without --as you are the local operator, who administers everything and reads no data',
    hint: `name a person: writ psql ${catalog} --as ana@acme.test`,
  });
}

function seconds(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new WritError('invalid_argument', {
    message: `--lifetime is ${JSON.stringify(text)}, expected a number of seconds`,
  });
}

async function issue(connection: Connection, options: CredentialOptions, catalog: string): Promise<Answer> {
  const value = await connection.api.call<Credential>('POST', '/api/v1/credentials', {
    catalog,
    direct: options.direct === true,
    ...(options.lifetime === undefined ? {} : { lifetimeSeconds: seconds(options.lifetime) }),
    ...(options.purpose === undefined ? {} : { purpose: options.purpose }),
    ...(options.ticket === undefined ? {} : { ticket: options.ticket }),
  });
  return { value, text: JSON.stringify(value, null, 2) };
}

/** psql as the person would run it: credential in the environment of the child only, server verified by our CA. */
async function psql(
  connection: Connection,
  options: CredentialOptions,
  catalog: string,
  args: string[],
): Promise<Answer> {
  expectPerson(connection, catalog);
  const credential = JSON.parse(
    (await issue(connection, { ...options, direct: false }, catalog)).text,
  ) as Credential;
  const { caFile } = connection.endpoints().postgres;
  const child = spawn('psql', args, {
    stdio: 'inherit',
    env: {
      ...processEnvironment(),
      PGHOST: credential.host,
      PGPORT: String(credential.port),
      PGDATABASE: credential.database,
      PGUSER: credential.user,
      PGPASSWORD: credential.password,
      PGSSLMODE: 'verify-ca',
      PGSSLROOTCERT: caFile,
    },
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', (cause) =>
      reject(
        new WritError('not_found', {
          message: 'psql is not installed',
          hint: 'install the PostgreSQL client',
          cause,
        }),
      ),
    );
    child.on('exit', (exit, signal) => resolve(exit ?? (signal === null ? 1 : 130)));
  });
  return { value: { exit: code }, text: '', exit: code === 0 ? 0 : 1 };
}
