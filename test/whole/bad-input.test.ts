import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// Bad input: each a clear error with its code, nothing lost, the process up.

let company: Company;
beforeAll(async () => {
  company = await startCompany();
});
afterAll(() => company.stop());

afterEach(async () => {
  expect(company.process.exitCode).toBe(null);
  const alive = await company.psql('ana@acme.test', 'shop', 'select count(*) > 0 from customers');
  expect(alive.stdout.trim()).toBe('t');
});

/** The fields of the FATAL that ends a sign-in. psql shows no SQLSTATE before a session stands. */
async function signIn(password: string, catalog = 'shop', user = 'ana@acme.test'): Promise<pg.DatabaseError> {
  const { host, port, caFile } = company.endpoints.postgres;
  const client = new pg.Client({
    host,
    port,
    database: catalog,
    user,
    password,
    application_name: 'bad-input',
    ssl: { ca: readFileSync(caFile, 'utf8'), servername: 'localhost' },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (refusal) {
    const { severity } = refusal as pg.DatabaseError;
    expect(severity).toBe('FATAL');
    return refusal as pg.DatabaseError;
  }
  await client.end();
  throw new Error(`${user} was let in`);
}

async function mint(body: object): Promise<string> {
  const secret = readFileSync(join(company.home, 'idp', 'dev-secret'), 'utf8').trim();
  const response = await fetch(`${company.endpoints.issuer}/dev/token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

/** The SQLSTATE field of the first ErrorResponse in what the server said; undefined when it only closed. */
async function codeAfter(bytes: Buffer, socket: Socket): Promise<string | undefined> {
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => heard.push(chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await Promise.race([
    new Promise((resolve) => socket.once('close', resolve)),
    new Promise((resolve) => setTimeout(resolve, 3_000)),
  ]);
  socket.destroy();
  return /\0C([0-9A-Z]{5})\0/.exec(Buffer.concat(heard).toString('latin1'))?.[1];
}

const plain = () => connectTcp(company.endpoints.postgres.port, company.endpoints.postgres.host);

/** A token for somebody else whose signature is another's. */
const forgedFrom = (token: string) => {
  const [head = '', , signature = ''] = token.split('.');
  return `${head}.${Buffer.from('{"sub":"acme-1003"}').toString('base64url')}.${signature}`;
};
/** The claims are whole, the signature is not. */
const unsigned = (token: string) => {
  const [head = '', claims = '', signature = ''] = token.split('.');
  return `${head}.${claims}.${Buffer.from(signature, 'base64url').reverse().toString('base64url')}`;
};

test('wrong token, expired token, wrong audience', async () => {
  const good = await mint({ as: 'ana@acme.test' });
  expect(await signIn('nonsense')).toMatchObject({ code: '28P01' });
  expect(await signIn(forgedFrom(good))).toMatchObject({ code: '28P01' });
  expect(await signIn(unsigned(good))).toMatchObject({
    code: '28P01',
    detail: expect.stringMatching(/signature/),
  });
  expect(await signIn(await mint({ as: 'ana@acme.test', expires_in: -60 }))).toMatchObject({
    code: '28000',
    detail: expect.stringMatching(/expired/),
  });
  expect(await signIn(await mint({ as: 'ana@acme.test', audience: 'somebody-else' }))).toMatchObject({
    code: '28000',
    detail: expect.stringMatching(/audience/),
  });
});

test('unknown catalog; the wrong user; nobody’s catalog', async () => {
  const good = await mint({ as: 'ana@acme.test' });
  expect(await signIn(good, 'nosuch')).toMatchObject({
    code: '3D000',
    message: expect.stringMatching(/nosuch/),
  });
  expect(await signIn(good, 'shop', 'sam@acme.test')).toMatchObject({
    code: '28000',
    detail: expect.stringMatching(/ana@acme\.test's/),
    hint: expect.stringMatching(/user=ana@acme\.test/),
  });
  for (const catalog of ['shop', 'lake'])
    expect(await signIn(await mint({ as: 'nina@acme.test' }), catalog, 'nina@acme.test')).toMatchObject({
      code: '42501',
      message: `permission denied for catalog ${catalog}`,
      detail: `deny: no USE CATALOG on ${catalog}`,
      hint: `Ask platform for USE CATALOG on ${catalog}.`,
    });
});

test('the record of a refusal says why, who, from where and with what, never the password', async () => {
  const good = await mint({ as: 'ana@acme.test' });
  const expired = await mint({ as: 'ana@acme.test', expires_in: -60 });
  const foreign = await mint({ as: 'ana@acme.test', audience: 'somebody-else' });
  const nina = await mint({ as: 'nina@acme.test' });
  const tries: readonly [password: string, catalog: string, user: string, sqlstate: string, why: RegExp][] = [
    ['n0nsense-p4ssword', 'shop', 'ana@acme.test', '28P01', /neither a compact credential .* nor a token/],
    [unsigned(good), 'shop', 'ana@acme.test', '28P01', /signature/],
    [expired, 'shop', 'ana@acme.test', '28000', /expired/],
    [foreign, 'shop', 'ana@acme.test', '28000', /audience/],
    [good, 'lake', 'sam@acme.test', '28000', /credential is ana@acme\.test's/],
    [good, 'nosuch', 'ana@acme.test', '3D000', /catalog nosuch does not exist/],
    [nina, 'shop', 'nina@acme.test', '42501', /no USE CATALOG on shop/],
  ];
  const count = async () => (await refusals()).length;
  const before = await count();
  for (const [password, catalog, user] of tries) await signIn(password, catalog, user);
  await expect.poll(count).toBe(before + tries.length);
  const recorded = (await refusals()).slice(before);
  for (const [i, [password, catalog, user, sqlstate, why]] of tries.entries()) {
    const refusal = recorded[i];
    expect(refusal).toMatchObject({
      sqlstate,
      catalog,
      decision: 'deny',
      application: 'bad-input',
      source_ip_address: '127.0.0.1',
      message: expect.stringContaining(user),
    });
    expect(refusal?.reasons.join('; ')).toMatch(why);
    const text = JSON.stringify(refusal);
    for (const piece of password.split('.')) expect(text).not.toContain(piece);
  }
  expect(recorded.at(-1)).toMatchObject({
    principal: 'nina@acme.test',
    credential: expect.stringMatching(/^oidc:/),
  });
});

test('a start-up that is refused before a password is asked for is recorded with what it asked', async () => {
  const before = (await refusals()).length;
  const parameters = 'user\0ana@acme.test\0database\0shop\0application_name\0repl\0replication\0true\0\0';
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from(parameters)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  expect(await codeAfter(Buffer.concat([length, body]), plain())).toBe('0A000');
  await expect.poll(async () => (await refusals()).length).toBe(before + 1);
  expect((await refusals()).at(-1)).toMatchObject({
    sqlstate: '0A000',
    catalog: 'shop',
    application: 'repl',
    reasons: ['A replication stream carries every row of every table.'],
  });
});

interface RecordedRefusal {
  readonly principal: string | null;
  readonly credential: string | null;
  readonly catalog: string | null;
  readonly application: string | null;
  readonly source_ip_address: string | null;
  readonly decision: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly reasons: readonly string[];
}

/** Every refused sign-in so far, in order. */
async function refusals(): Promise<readonly RecordedRefusal[]> {
  const carla = await company.connect('carla@acme.test', 'system');
  const { rows } = await carla.query<RecordedRefusal>(
    "select * from system.access.audit where kind = 'session.refused' order by seq",
  );
  await carla.end();
  return rows;
}

test('garbage bytes and a length prefix of 1 GB', async () => {
  expect(await codeAfter(Buffer.from('GET / HTTP/1.1\r\n\r\n'), plain())).toBe('08P01');
  const huge = Buffer.alloc(8);
  huge.writeUInt32BE(2 ** 30, 0);
  huge.writeUInt32BE(196_608, 4);
  expect(await codeAfter(huge, plain())).toBe('08P01');
  const random = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 131 + 17) % 256));
  expect(await codeAfter(random, plain())).toMatch(/08P01|0A000/);
});

test('unparsable SQL and invalid UTF-8, on Postgres and on the lake', async () => {
  for (const catalog of ['shop', 'lake']) {
    const wrong = await company.psql('ana@acme.test', catalog, 'selct 1');
    expect(wrong.stderr, catalog).toMatch(/42601/);
    const { port, host } = company.endpoints.postgres;
    const issued = JSON.parse(
      (await company.writ('credentials', catalog, '--as', 'ana@acme.test')).stdout,
    ) as {
      password: string;
    };
    const message = (type: string, body: Buffer) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length + 4);
      return Buffer.concat([Buffer.from(type, 'latin1'), length, body]);
    };
    const startup = Buffer.from(`\0\x03\0\0user\0ana@acme.test\0database\0${catalog}\0\0`, 'latin1');
    const invalid = Buffer.concat([Buffer.from("select '"), Buffer.from([0xc0, 0x27]), Buffer.from("'\0")]);
    const bytes = Buffer.concat([
      message('', startup),
      message('p', Buffer.from(`${issued.password}\0`)),
      message('Q', invalid),
    ]);
    expect(await codeAfter(bytes, connectTcp(port, host)), catalog).toBe('22021');
  }
});

test('TLS: bytes slipped in before the handshake are not taken for its contents', async () => {
  const request = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
  const startup = Buffer.from('\0\0\0\x29\0\x03\0\0user\0ana@acme.test\0database\0shop\0\0', 'latin1');
  const code = await codeAfter(Buffer.concat([request, startup]), plain());
  expect([undefined, '08P01']).toContain(code);
  const direct = connectTls({
    port: company.endpoints.postgres.port,
    host: company.endpoints.postgres.host,
    ca: readFileSync(company.endpoints.postgres.caFile),
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  const outcome = await new Promise<string>((resolve) => {
    direct.once('secureConnect', () => resolve('connected'));
    direct.once('error', () => resolve('refused'));
    direct.once('close', () => resolve('refused'));
  });
  direct.destroy();
  expect(outcome).toBe('refused');
});

test('after all of it the record is whole', async () => {
  const verified = await company.writ('audit', 'verify');
  expect(verified.stdout).toMatch(/^whole/);
  expect(verified.code).toBe(0);
});
