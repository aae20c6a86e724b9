import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeFields } from '../../src/gateway/pg/decode.ts';
import type { PgDoor } from '../../src/gateway/pg/listener.ts';
import { type DoorFixture, doorFixture } from './pg-door.ts';
import * as wire from './wire-client.ts';

let fixture: DoorFixture;
let port: number;
let strict: PgDoor;

beforeAll(async () => {
  fixture = await doorFixture();
  port = fixture.door.port;
  strict = await fixture.open({
    allowPlaintextLoopback: false,
    authenticationTimeoutMs: 400,
    maxSessions: 2,
  });
}, 120_000);

afterAll(() => fixture?.stop());

const ana = { user: 'ana@acme.test', database: 'shop' };

/** What a connection hears until it is closed: SQLSTATE, message, detail, hint of the last error. */
async function refused(to: number, ...sends: readonly Buffer[]): Promise<Record<string, string>> {
  const client = await wire.WireClient.dial(to);
  client.send(...sends);
  const error = (await client.untilClosed()).findLast(({ type }) => type === 'E');
  const fields = decodeFields(error?.payload ?? Buffer.alloc(0));
  return Object.fromEntries([...fields].map(([code, value]) => [code, value]));
}

async function tlsClient(to: number, options: { ask: boolean; alpn?: string }): Promise<wire.WireClient> {
  const plain = await wire.WireClient.dial(to);
  plain.socket.removeAllListeners('data');
  if (options.ask) {
    plain.send(wire.sslRequest);
    const answer: Buffer = await new Promise((resolve) => plain.socket.once('data', resolve));
    expect(answer.toString()).toBe('S');
  }
  const secure: TLSSocket = connectTls({
    socket: plain.socket,
    ca: fixture.ca,
    servername: 'localhost',
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [options.alpn] }),
  });
  await new Promise<void>((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
  return new wire.WireClient(secure);
}

describe('TLS', () => {
  test('by SSLRequest, after GSSENCRequest', async () => {
    const client = await wire.WireClient.dial(strict.port);
    client.socket.removeAllListeners('data');
    client.send(wire.gssRequest);
    const answer: Buffer = await new Promise((resolve) => client.socket.once('data', resolve));
    expect(answer.toString()).toBe('N');
    client.socket.destroy();
    const secure = await tlsClient(strict.port, { ask: true });
    secure.send(wire.startup(ana), wire.password('ana'));
    expect(wire.shown(await secure.until('Z')).at(-1)).toBe('Z:I');
    secure.socket.destroy();
  });

  test('direct, with ALPN only', async () => {
    const secure = await tlsClient(strict.port, { ask: false, alpn: 'postgresql' });
    secure.send(wire.startup(ana), wire.password('ana'), wire.query('select 1'));
    expect(wire.shown(await secure.until('Z', 2)).at(-1)).toBe('Z:I');
    secure.socket.destroy();
    const without = await tlsClient(strict.port, { ask: false });
    expect(await without.untilClosed()).toEqual([]);
    await expect(tlsClient(strict.port, { ask: false, alpn: 'http/1.1' })).rejects.toThrow();
  });

  test('without it: refused before a password is asked for', async () => {
    const client = await wire.WireClient.dial(strict.port);
    client.send(wire.startup(ana));
    expect(wire.shown(await client.untilClosed())).toEqual(['E:28000']);
  });

  test('bytes behind SSLRequest, two SSLRequests, requests inside TLS', async () => {
    expect(await refused(port, wire.sslRequest, wire.startup(ana))).toMatchObject({ C: '08P01', S: 'FATAL' });
    expect(await refused(port, wire.gssRequest, wire.gssRequest)).toMatchObject({ C: '08P01' });
    for (const again of [wire.sslRequest, wire.gssRequest]) {
      const secure = await tlsClient(port, { ask: true });
      secure.send(again);
      expect(wire.shown(await secure.untilClosed())).toEqual(['E:08P01']);
    }
  });
});

describe('bad input before sign-in', () => {
  test.each([
    ['1 GB length prefix', Buffer.from([0x40, 0, 0, 0]), '08P01'],
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n'), '08P01'],
    ['length below 8', Buffer.from([0, 0, 0, 4, 0, 0, 0, 0]), '08P01'],
    ['protocol 2', wire.startup({}, 0, 2), '0A000'],
    ['protocol 4', wire.startup(ana, 0, 4), '0A000'],
    ['a Query instead of a startup packet', wire.query('select 1'), '08P01'],
    ['no user', wire.startup({ database: 'shop' }), '28000'],
    ['duplicate user', wire.packet(0x30000, Buffer.from('user\0a\0user\0b\0\0')), '08P01'],
    ['no terminator', wire.packet(0x30000, Buffer.from('user\0a\0')), '08P01'],
    ['not UTF-8', wire.packet(0x30000, Buffer.from([0x75, 0, 0xff, 0, 0])), '22021'],
    ['replication', wire.startup({ ...ana, replication: 'database' }), '0A000'],
    ['role', wire.startup({ ...ana, role: 'postgres' }), '42501'],
    ['role in options', wire.startup({ ...ana, options: '-cRole=postgres' }), '42501'],
    ['role in options, escaped', wire.startup({ ...ana, options: '-c\\ r\\ole=x' }), '0A000'],
    ['unlisted setting', wire.startup({ ...ana, options: '--session-preload-libraries=x' }), '0A000'],
    ['encoding', wire.startup({ ...ana, client_encoding: 'LATIN1' }), '22023'],
    ['a shadow schema', wire.startup({ ...ana, search_path: 'writ_public_clear' }), '42501'],
  ])('%s', async (_, bytes, sqlstate) => {
    expect(await refused(port, bytes)).toMatchObject({ C: sqlstate, S: 'FATAL', V: 'FATAL' });
  });

  test('nothing at all: cut off at the deadline', async () => {
    const started = Date.now();
    const client = await wire.WireClient.dial(strict.port);
    client.socket.write(Buffer.from([0]));
    expect(await client.untilClosed()).toEqual([]);
    expect(Date.now() - started).toBeLessThan(2_000);
  });

  test('another message than a password, and an oversized one', async () => {
    expect(await refused(port, wire.startup(ana), wire.query('select 1'))).toMatchObject({ C: '08P01' });
    expect(await refused(port, wire.startup(ana), Buffer.from([0x70, 0x40, 0, 0, 0]))).toMatchObject({
      C: '08P01',
    });
  });
});

describe('who and where', () => {
  test('wrong password, no such catalog, no USE CATALOG: FATAL with the reason, and recorded', async () => {
    expect(await refused(port, wire.startup(ana), wire.password('no'))).toMatchObject({
      C: '28P01',
      S: 'FATAL',
    });
    expect(
      await refused(port, wire.startup({ ...ana, database: 'nowhere' }), wire.password('ana')),
    ).toMatchObject({ C: '3D000' });
    expect(await refused(port, wire.startup({ user: 'ana@acme.test' }), wire.password('ana'))).toMatchObject({
      C: '3D000',
    });
    const nina = await refused(
      port,
      wire.startup({ user: 'nina@acme.test', database: 'shop' }),
      wire.password('nina'),
    );
    expect(nina).toMatchObject({
      C: '42501',
      M: 'permission denied for catalog shop',
      D: 'deny: no USE CATALOG on shop',
      H: 'Ask platform for USE CATALOG on shop.',
    });
    const last = fixture.events().findLast(({ kind }) => kind === 'session.refused');
    expect(last).toMatchObject({
      principal: 'nina@acme.test',
      credential: 'table:nina@acme.test',
      catalog: 'shop',
      decision: 'deny',
      sqlstate: '42501',
      reasons: ['no USE CATALOG on shop'],
      client: { address: '127.0.0.1' },
    });
  });

  test('a password of 65,535 bytes is read whole', async () => {
    expect(await refused(port, wire.startup(ana), wire.password('x'.repeat(65_535)))).toMatchObject({
      C: '28P01',
    });
    expect(await refused(port, wire.startup(ana), wire.password('x'.repeat(65_536)))).toMatchObject({
      C: '08P01',
    });
  });

  test('settings of the allow-list arrive, in every spelling', async () => {
    const client = await wire.WireClient.signedIn(port, {
      application_name: 'tëst',
      client_encoding: 'Unicode',
      TimeZone: 'Europe/Paris',
      options: '-c statement_timeout=12345 --extra-float-digits=2 -cDateStyle=German\\,\\ DMY',
    });
    const setting = async (name: string): Promise<string> => {
      client.send(wire.query(`show ${name}`));
      return (await client.until('Z')).find(({ type }) => type === 'D')?.payload.toString('utf8', 6) ?? '';
    };
    expect(await setting('application_name')).toBe('tëst'.replace('ë', '\\xc3\\xab'));
    expect(await setting('timezone')).toBe('Europe/Paris');
    expect(await setting('statement_timeout')).toBe('12345ms');
    expect(await setting('extra_float_digits')).toBe('2');
    expect(await setting('datestyle')).toBe('German, DMY');
    expect(await setting('row_security')).toBe('on');
    client.socket.destroy();
  });

  test('a value that Postgres refuses is told with its SQLSTATE', async () => {
    const told = await refused(
      port,
      wire.startup({ ...ana, statement_timeout: 'soon' }),
      wire.password('ana'),
    );
    expect(told).toMatchObject({ C: '22023', S: 'FATAL' });
  });

  test('too many sessions', async () => {
    const some = [await tlsClient(strict.port, { ask: true }), await tlsClient(strict.port, { ask: true })];
    for (const client of some) {
      client.send(wire.startup(ana), wire.password('ana'));
      await client.until('Z');
    }
    const third = await tlsClient(strict.port, { ask: true });
    third.send(wire.startup(ana));
    expect(wire.shown(await third.untilClosed())).toEqual(['E:53300']);
    for (const client of some) client.socket.destroy();
  });
});

describe('protocol 3.2', () => {
  test('keys of 32 bytes, never the server’s', async () => {
    const client = await wire.WireClient.dial(port);
    client.send(wire.startup(ana, 2), wire.password('ana'));
    const heard = await client.until('Z');
    expect(heard.filter(({ type }) => type === 'v')).toEqual([]);
    expect(heard.filter(({ type }) => type === 'K').map(({ payload }) => payload.length)).toEqual([36]);
    client.socket.destroy();
  });

  test('a newer minor and unknown options are negotiated, once', async () => {
    const client = await wire.WireClient.dial(port);
    client.send(wire.startup({ ...ana, '_pq_.test_protocol_negotiation': '' }, 9999), wire.password('ana'));
    const heard = await client.until('Z');
    const told = heard.filter(({ type }) => type === 'v').map(({ payload }) => payload);
    expect(told.length).toBe(1);
    expect(told[0]?.readInt32BE(0)).toBe((3 << 16) | 2);
    expect(told[0]?.toString('latin1', 8)).toBe('_pq_.test_protocol_negotiation\0');
    client.socket.destroy();
  });
});

test('a catalog that the gateway serves by itself', async () => {
  const client = await wire.WireClient.signedIn(port, { database: 'lake' });
  client.send(wire.query('hello'));
  const heard = await client.until('Z');
  expect(heard.find(({ type }) => type === 'D')?.payload.toString('latin1', 6)).toBe('hello');
  const listed = fixture.door.sessions.list().find(({ catalog }) => catalog === 'lake');
  expect(listed).toMatchObject({ principal: 'ana@acme.test', statements: 1 });
  fixture.door.sessions.kill(listed?.id ?? '', 'an operator ended it');
  expect(wire.shown(await client.untilClosed())).toEqual(['E:57P01']);
});
