import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type OpenAuditLog, openAuditLog } from '../../src/audit/log.ts';
import { devCertificate } from '../../src/dev/certificate.ts';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import type { GatewayLogins } from '../../src/fleet/logins.ts';
import type { Authenticator } from '../../src/gateway/identity/authenticator.ts';
import type { ClientLink } from '../../src/gateway/pg/client-link.ts';
import type { PgDoorOptions } from '../../src/gateway/pg/door.ts';
import * as encode from '../../src/gateway/pg/encode.ts';
import type { GovernedPart, GovernedQuery, StatementContext } from '../../src/gateway/pg/governed.ts';
import { openPgDoor, type PgDoor } from '../../src/gateway/pg/listener.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { WritError } from '../../src/kernel/errors.ts';
import type { PrincipalName } from '../../src/kernel/principal.ts';
import type { SecurableName } from '../../src/kernel/securable-name.ts';
import type { Snapshot } from '../../src/policy/model.ts';

// A door of its own before a real Postgres. Who may sign in is a table, what a text becomes is four rules: the parts
// that other rooms bring are small here, and the wire is all real.

export interface DoorFixture {
  readonly door: PgDoor;
  readonly audit: OpenAuditLog;
  readonly ca: string;
  readonly adminUrl: string;
  readonly errors: unknown[];
  /** Swaps the snapshot in force. */
  setSnapshot(id: string): void;
  /** Another door on the same parts. */
  open(overrides: Partial<PgDoorOptions>): Promise<PgDoor>;
  /** Every event recorded so far, in order. */
  events(): readonly Record<string, unknown>[];
  admin(text: string): Promise<pg.QueryResult>;
  stopPostgres(): Promise<void>;
  stop(): Promise<void>;
}

const people: Readonly<Record<string, string>> = { 'ana@acme.test': 'ana', 'nina@acme.test': 'nina' };

/** An hour; `brief` instead of the password gives a credential that ends in 700 ms. */
const authenticator: Authenticator = {
  async authenticate({ user = '', password }) {
    if (password !== 'brief' && people[user] !== password) throw new WritError('bad_credential');
    const expiresAt = Date.now() + (password === 'brief' ? 700 : 3_600_000);
    return { principal: user as PrincipalName, credential: `table:${user}`, expiresAt };
  },
};

function snapshotNamed(id: string): Snapshot {
  const kinds = { shop: 'POSTGRES', lake: 'LAKE' } as const;
  const catalogs = new Map(
    Object.entries(kinds).map(([name, kind]) => [name, { name: name as SecurableName, kind }]),
  );
  const owned = { owner: () => 'platform' as PrincipalName };
  const decided: Pick<Snapshot, 'id' | 'decide' | 'owner'> = {
    id,
    ...owned,
    decide: (principal, gate, on) =>
      principal.startsWith('nina')
        ? { effect: 'deny', because: [{ kind: 'gate-failed', gate, on }] }
        : { effect: 'allow', because: [] },
  };
  return { ...decided, catalog: { catalogs } } as unknown as Snapshot;
}

/** `forbidden` is refused, `alias_of_numbers` is the table numbers, and SQL-level PREPARE is followed. */
export function govern(text: string, context: StatementContext): GovernedQuery {
  const statements = text.split(';').filter((statement) => statement.trim() !== '');
  const parts = statements.map((statement) => partOf(statement.trim(), context));
  const refusal = text.includes('forbidden')
    ? new WritError('permission_denied', {
        message: 'permission denied for table forbidden',
        detail: 'no SELECT on shop.public.forbidden',
        position: text.indexOf('forbidden') + 1,
      })
    : undefined;
  const name = context.snapshot.id === 'v2' ? 'numbers  ' : 'numbers';
  const added = name.length - 'alias_of_numbers'.length;
  const at = text.indexOf('alias_of_numbers');
  return {
    parts,
    text: text.replace('alias_of_numbers', name),
    refusal,
    mapPosition: (sent) => (at < 0 || sent <= at ? sent : sent - added),
  };
}

function partOf(statement: string, context: StatementContext): GovernedPart {
  const denied = statement.includes('forbidden');
  const part: GovernedPart = {
    command: (statement.split(/\s/)[0] ?? '').toUpperCase(),
    decision: { effect: denied ? 'deny' : 'allow', because: [] },
    tables: [],
    columns: [],
    redacted: statement,
  };
  const [, verb = '', name = '', body = ''] =
    /^(prepare|execute|deallocate)\s+(\w+)(?:\s+as\s+(.*))?/is.exec(statement) ?? [];
  switch (verb.toLowerCase()) {
    case 'prepare':
      return { ...part, effect: { kind: 'prepare', name, statement: partOf(body, context) } };
    case 'deallocate':
      return { ...part, effect: { kind: 'deallocate', name } };
    case 'execute': {
      const known = context.prepared(name);
      if (known === undefined)
        throw new WritError('no_such_prepared_statement', {
          message: `prepared statement "${name}" does not exist`,
        });
      return { ...part, redacted: `${statement} = ${known.redacted}` };
    }
    default:
      return part;
  }
}

/** Answers every Query with one row of its own text. */
async function echo(link: ClientLink): Promise<void> {
  link.onCancel(() => link.send(encode.noticeResponse(new WritError('cancelled'))));
  for await (const frame of link.frames()) {
    const text = frame.payload.subarray(0, -1);
    const column = Buffer.concat([
      encode.int32(0),
      encode.int16(0),
      encode.int32(25),
      encode.int16(-1),
      encode.int32(-1),
      encode.int16(0),
    ]);
    link.send(encode.message('T', encode.int16(1), encode.cString('echo'), column));
    link.send(encode.message('D', encode.int16(1), encode.int32(text.length), text));
    link.send(encode.commandComplete('SELECT 1'));
    if (!link.send(encode.readyForQuery('I'))) await link.drained();
  }
}

export async function doorFixture(): Promise<DoorFixture> {
  const home = mkdtempSync(join(tmpdir(), 'writ-door-'));
  const server = await startEmbeddedPostgres({ home, port: 0 });
  const admin = new pg.Pool({ connectionString: server.adminUrl, max: 1 });
  admin.on('error', () => {});
  await admin.query(`create role door_login login password 'behind'`);
  await admin.query('create database shop owner door_login');
  const certificate = await devCertificate(join(home, 'tls'), Date.now());
  const audit = openAuditLog({ folder: join(home, 'audit'), writer: 'door', clock: systemClock });
  const errors: unknown[] = [];
  let snapshot = snapshotNamed('v1');
  const logins: Pick<GatewayLogins, 'open'> = {
    open: async () => ({
      host: server.host,
      port: server.port,
      database: 'shop',
      user: 'door_login',
      password: 'behind',
      opened: async () => {},
    }),
  };
  const options: PgDoorOptions = {
    host: '127.0.0.1',
    port: 0,
    tls: { key: certificate.key, cert: certificate.certificate },
    allowPlaintextLoopback: true,
    authenticator,
    logins,
    audit,
    clock: systemClock,
    currentSnapshot: () => snapshot,
    govern,
    serveLake: echo,
    onError: (error) => errors.push(error),
  };
  const door = await openPgDoor(options);
  const others: PgDoor[] = [];
  return {
    door,
    audit,
    errors,
    ca: certificate.ca,
    adminUrl: server.adminUrl,
    setSnapshot: (id) => {
      snapshot = snapshotNamed(id);
    },
    async open(overrides) {
      const other = await openPgDoor({ ...options, ...overrides });
      others.push(other);
      return other;
    },
    events() {
      audit.flush();
      const folder = join(home, 'audit', 'door');
      const lines = readdirSync(folder)
        .filter((name) => !name.includes('lock'))
        .sort()
        .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
      return lines.filter((line) => /^\d/.test(line)).map((line) => JSON.parse(line.split('\t')[4] ?? '{}'));
    },
    admin: (text) => admin.query(text),
    stopPostgres: () => server.stop(),
    async stop() {
      await Promise.all([door, ...others].map((one) => one.close()));
      await admin.end();
      await server.stop();
      await audit.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
