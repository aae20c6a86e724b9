import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Company, run, startCompany } from './company.ts';

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

async function signIn(password: string, catalog = 'shop', user = 'ana@acme.test') {
  const { host, port, caFile } = company.endpoints.postgres;
  return run('psql', ['-X', '-v', 'VERBOSITY=verbose', '-c', 'select 1'], {
    ...process.env,
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: catalog,
    PGUSER: user,
    PGPASSWORD: password,
    PGSSLMODE: 'verify-ca',
    PGSSLROOTCERT: caFile,
  });
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

test('wrong token, expired token, wrong audience', async () => {
  expect((await signIn('nonsense')).stderr).toMatch(/FATAL/);
  const good = await mint({ as: 'ana@acme.test' });
  const [head = '', , signature = ''] = good.split('.');
  const forged = `${head}.${Buffer.from('{"sub":"acme-1003"}').toString('base64url')}.${signature}`;
  expect((await signIn(forged)).stderr).toMatch(/FATAL/);
  const expired = await signIn(await mint({ as: 'ana@acme.test', expires_in: -60 }));
  expect(expired.stderr).toMatch(/FATAL/);
  expect(expired.stderr).toMatch(/expired/);
  const foreign = await signIn(await mint({ as: 'ana@acme.test', audience: 'somebody-else' }));
  expect(foreign.stderr).toMatch(/FATAL/);
  expect(foreign.stderr).toMatch(/audience/);
});

test('unknown catalog; the wrong user', async () => {
  const good = await mint({ as: 'ana@acme.test' });
  expect((await signIn(good, 'nosuch')).stderr).toMatch(/FATAL:.*nosuch/);
  expect((await signIn(good, 'shop', 'sam@acme.test')).stderr).toMatch(/ana@acme\.test/);
});

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
