import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeFields } from '../../src/gateway/pg/decode.ts';
import { type DoorFixture, doorFixture } from './pg-door.ts';
import * as wire from './wire-client.ts';

let fixture: DoorFixture;
let port: number;

beforeAll(async () => {
  fixture = await doorFixture();
  port = fixture.door.port;
  const client = await wire.WireClient.signedIn(port);
  client.send(wire.query('create table numbers as select g as n from generate_series(1, 1000) g'));
  await client.until('Z');
  client.socket.destroy();
}, 120_000);

afterAll(() => fixture?.stop());

async function talk(...messages: readonly Buffer[]): Promise<string[]> {
  const client = await wire.WireClient.signedIn(port);
  const sends = Buffer.concat(messages);
  const syncs = messages.filter(
    (message) => message[0] === 0x53 || message[0] === 0x51 || message[0] === 0x46,
  ).length;
  client.send(sends);
  const heard = await client.until('Z', syncs);
  client.send(wire.terminate);
  await client.untilClosed();
  return wire.shown(heard);
}

describe('statements', () => {
  test('a simple query', async () => {
    expect(await talk(wire.query('select 1'))).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
  });

  test('several statements in one text, and an empty one', async () => {
    expect(await talk(wire.query('select 1; select 2'), wire.query(''))).toEqual([
      'T',
      'D',
      'C:SELECT 1',
      'T',
      'D',
      'C:SELECT 1',
      'Z:I',
      'I',
      'Z:I',
    ]);
  });

  test('extended, with Describe', async () => {
    expect(
      await talk(
        wire.parse('', 'select $1::int'),
        wire.bind('', '', '7'),
        wire.describe('P', ''),
        wire.execute(''),
        wire.sync,
      ),
    ).toEqual(['1', '2', 'T', 'D', 'C:SELECT 1', 'Z:I']);
  });

  test('a portal is read in pieces', async () => {
    expect(
      await talk(
        wire.parse('', 'select * from numbers limit 3'),
        wire.bind('p', ''),
        wire.execute('p', 2),
        wire.execute('p', 2),
        wire.sync,
      ),
    ).toEqual(['1', '2', 'D', 'D', 's', 'D', 'C:SELECT 1', 'Z:I']);
  });

  test('everything cut at every byte', async () => {
    const transcript = Buffer.concat([
      wire.parse('cut', 'select n from alias_of_numbers where n = $1'),
      wire.bind('', 'cut', '5'),
      wire.execute(''),
      wire.sync,
      wire.query('select forbidden'),
    ]);
    for (let at = 1; at < transcript.length; at += 3) {
      const client = await wire.WireClient.signedIn(port);
      client.socket.write(transcript.subarray(0, at));
      await new Promise((resolve) => setTimeout(resolve, 1));
      client.socket.write(transcript.subarray(at));
      expect(wire.shown(await client.until('Z', 2))).toEqual([
        '1',
        '2',
        'D',
        'C:SELECT 1',
        'Z:I',
        'E:42501',
        'Z:I',
      ]);
      client.socket.destroy();
    }
  });
});

describe('refusals behave as Postgres errors do', () => {
  test('a refused Query, and the session goes on', async () => {
    expect(await talk(wire.query('select * from forbidden'), wire.query('select 1'))).toEqual([
      'E:42501',
      'Z:I',
      'T',
      'D',
      'C:SELECT 1',
      'Z:I',
    ]);
  });

  test('its fields are ours', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(wire.query('select * from forbidden'));
    const [error] = await client.until('Z');
    const fields = decodeFields(error?.payload ?? Buffer.alloc(0));
    expect(Object.fromEntries(fields)).toEqual({
      S: 'ERROR',
      V: 'ERROR',
      C: '42501',
      M: 'permission denied for table forbidden',
      D: 'no SELECT on shop.public.forbidden',
      P: '15',
    });
    client.socket.destroy();
  });

  test('inside a transaction it aborts the transaction; then 25P02 until ROLLBACK', async () => {
    expect(
      await talk(
        wire.query('begin'),
        wire.query('select forbidden'),
        wire.query('select 1'),
        wire.query('select forbidden'),
        wire.query('rollback'),
      ),
    ).toEqual(['C:BEGIN', 'Z:T', 'E:42501', 'Z:E', 'E:25P02', 'Z:E', 'E:25P02', 'Z:E', 'C:ROLLBACK', 'Z:I']);
  });

  test('all or nothing: nothing of the text runs', async () => {
    expect(
      await talk(wire.query('create table half(); select forbidden'), wire.query('select * from half')),
    ).toEqual(['E:42501', 'Z:I', 'E:42P01', 'Z:I']);
  });

  test('a refused Parse skips to Sync', async () => {
    expect(
      await talk(
        wire.parse('', 'select forbidden'),
        wire.bind('', ''),
        wire.execute(''),
        wire.sync,
        wire.parse('', 'select 1'),
        wire.bind('', ''),
        wire.execute(''),
        wire.sync,
      ),
    ).toEqual(['E:42501', 'Z:I', '1', '2', 'D', 'C:SELECT 1', 'Z:I']);
  });

  test('names that the session does not have', async () => {
    expect(
      await talk(wire.bind('', 'ghost'), wire.execute(''), wire.sync, wire.execute('ghost'), wire.sync),
    ).toEqual(['E:26000', 'Z:I', 'E:34000', 'Z:I']);
  });

  test('FunctionCall', async () => {
    const call = Buffer.concat([Buffer.from('F'), Buffer.from([0, 0, 0, 14, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0])]);
    expect(await talk(call, wire.query('select 1'))).toEqual([
      'E:0A000',
      'Z:I',
      'T',
      'D',
      'C:SELECT 1',
      'Z:I',
    ]);
  });

  test('NUL inside the text, invalid UTF-8: the session survives', async () => {
    const invalid = Buffer.concat([Buffer.from([0x51, 0, 0, 0, 7]), Buffer.from([0xc3, 0x28, 0])]);
    const nul = Buffer.concat([Buffer.from([0x51, 0, 0, 0, 8]), Buffer.from('a\0b\0')]);
    expect(await talk(invalid, nul, wire.query('select 1'))).toEqual([
      'E:22021',
      'Z:I',
      'E:08P01',
      'Z:I',
      'T',
      'D',
      'C:SELECT 1',
      'Z:I',
    ]);
  });
});

describe('errors of the server', () => {
  test('positions are those of the text that the client sent', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(wire.query('select n from alias_of_numbers where nothing = 1'));
    const [error] = await client.until('Z');
    expect(decodeFields(error?.payload ?? Buffer.alloc(0)).get('P')).toBe('38');
    client.socket.destroy();
  });

  test('a pipeline: what failed skips its own batch alone', async () => {
    expect(
      await talk(
        wire.parse('a', 'select 1/0'),
        wire.bind('', 'a'),
        wire.execute(''),
        wire.bind('', 'a'),
        wire.execute(''),
        wire.sync,
        wire.parse('b', 'select 1'),
        wire.bind('', 'b'),
        wire.execute(''),
        wire.sync,
        wire.query('select 2'),
      ),
    ).toEqual(['1', 'E:22012', 'Z:I', '1', '2', 'D', 'C:SELECT 1', 'Z:I', 'T', 'D', 'C:SELECT 1', 'Z:I']);
  });
});

describe('COPY', () => {
  test('in, by simple query, pipelined and not', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(wire.query('create temp table c(a int, b text)'));
    await client.until('Z');
    client.send(
      wire.query('copy c from stdin'),
      wire.copyData('1\tx\n2\ty\n'),
      wire.copyDone,
      wire.query('select * from c'),
    );
    expect(wire.shown(await client.until('Z', 2))).toEqual([
      'G',
      'C:COPY 2',
      'Z:I',
      'T',
      'D',
      'D',
      'C:SELECT 2',
      'Z:I',
    ]);
    client.send(wire.query('copy c from stdin'));
    await client.until('G');
    client.send(wire.copyData('x'.repeat(10)), wire.copyFail('enough'));
    expect(wire.shown(await client.until('Z'))).toEqual(['E:57014', 'Z:I']);
    client.send(
      wire.query('copy c from stdin'),
      wire.copyData('not a number\tx\n'),
      wire.copyDone,
      wire.query('select 1'),
    );
    expect(wire.shown(await client.until('Z', 2))).toEqual([
      'G',
      'E:22P02',
      'Z:I',
      'T',
      'D',
      'C:SELECT 1',
      'Z:I',
    ]);
    client.socket.destroy();
  });

  test('in, by the extended protocol, with the Sync that Postgres ignores', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(wire.query('create temp table c(a int, b text)'));
    await client.until('Z');
    client.send(wire.parse('', 'copy c from stdin'), wire.bind('', ''), wire.execute(''), wire.sync);
    await client.until('G');
    client.send(wire.copyData('1\tx\n'), wire.copyDone, wire.sync);
    expect(wire.shown(await client.until('Z'))).toEqual(['C:COPY 1', 'Z:I']);
    client.send(wire.parse('', 'copy c from stdin'), wire.bind('', ''), wire.execute(''), wire.sync);
    await client.until('G');
    client.send(wire.copyData('bad\tx\n'), wire.copyDone, wire.sync, wire.query('select 3'));
    expect(wire.shown(await client.until('Z', 2))).toEqual(['E:22P02', 'Z:I', 'T', 'D', 'C:SELECT 1', 'Z:I']);
    client.socket.destroy();
  });

  test('out', async () => {
    expect(await talk(wire.query('copy (select 1) to stdout'))).toEqual(['H', 'd', 'c', 'C:COPY 1', 'Z:I']);
  });

  test('one CopyData of many megabytes streams through', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(wire.query('create temp table c(a text); copy c from stdin'));
    await client.until('G');
    const line = `${'x'.repeat(1023)}\n`;
    client.send(wire.copyData(line.repeat(80 * 1024)), wire.copyDone);
    expect(wire.shown(await client.until('Z'))).toEqual(['C:COPY 81920', 'Z:I']);
    client.socket.destroy();
  }, 60_000);
});

/** An earlier test's session may end only now. */
function ofLastSession(events: readonly Record<string, unknown>[]): readonly Record<string, unknown>[] {
  const session = events.findLast(({ kind }) => String(kind).startsWith('statement'))?.['session'];
  return events.filter((event) => event['session'] === session);
}

describe('the record', () => {
  const recorded = (from: number) =>
    ofLastSession(fixture.events().slice(from)).map((event) => [
      event['kind'],
      event['statement'] ?? event['rows'],
      event['decision'],
      event['sqlstate'],
    ]);

  test('a pair per statement, begun before it is sent; refusals too', async () => {
    const from = fixture.events().length;
    await talk(wire.query('select 1; select 2'), wire.query('select forbidden'), wire.query('select 1/0'));
    expect(recorded(from)).toEqual([
      ['session.begin', undefined, 'allow', undefined],
      ['statement.begin', 'select 1', 'allow', undefined],
      ['statement.begin', 'select 2', 'allow', undefined],
      ['statement.begin', 'select forbidden', 'deny', '42501'],
      ['statement.begin', 'select 1/0', 'allow', undefined],
      ['statement.end', 1, undefined, undefined],
      ['statement.end', 1, undefined, undefined],
      ['statement.end', undefined, undefined, '42501'],
      ['statement.end', undefined, undefined, '22012'],
      ['session.end', undefined, undefined, undefined],
    ]);
  });

  test('each Execute of a portal is a pair; SQL EXECUTE names what it runs', async () => {
    const from = fixture.events().length;
    await talk(
      wire.parse('s', 'select * from numbers limit 3'),
      wire.bind('p', 's'),
      wire.execute('p', 2),
      wire.execute('p', 2),
      wire.sync,
      wire.query('prepare q as select 5'),
      wire.query('execute q'),
      wire.query('deallocate q'),
      wire.query('execute q'),
    );
    const statements = recorded(from)
      .filter(([kind]) => kind === 'statement.begin')
      .map(([, statement]) => statement);
    expect(statements).toEqual([
      'select * from numbers limit 3',
      'select * from numbers limit 3',
      'prepare q as select 5',
      'execute q = select 5',
      'deallocate q',
      '<not understood>',
    ]);
    const ends = recorded(from).filter(([kind]) => kind === 'statement.end');
    expect(ends.map(([, rows, , sqlstate]) => rows ?? sqlstate)).toEqual([2, 1, 0, 1, 0, '26000']);
  });

  test('a name that an unfinished batch redefines is never recorded for what it was not', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(wire.parse('s', 'select 111'), wire.sync);
    await client.until('Z');
    const from = fixture.events().length;
    // The second Parse fails (the name is taken); the next batch runs the first statement.
    client.send(wire.parse('s', 'select 222'), wire.sync, wire.bind('', 's'), wire.execute(''), wire.sync);
    expect(wire.shown(await client.until('Z', 2))).toEqual(['E:42P05', 'Z:I', '2', 'D', 'C:SELECT 1', 'Z:I']);
    expect(recorded(from)[0]?.[1]).toBe('select 111');
    client.socket.destroy();
  });

  test('a statement prepared under an older policy', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(
      wire.parse('same', 'select 1'),
      wire.parse('other', 'select n from alias_of_numbers limit 1'),
      wire.sync,
    );
    await client.until('Z');
    fixture.setSnapshot('v2');
    client.send(
      wire.bind('', 'same'),
      wire.execute(''),
      wire.sync,
      wire.bind('', 'other'),
      wire.execute(''),
      wire.sync,
    );
    expect(wire.shown(await client.until('Z', 2))).toEqual([
      '2',
      'D',
      'C:SELECT 1',
      'Z:I',
      '2',
      'E:0A000',
      'Z:I',
    ]);
    fixture.setSnapshot('v1');
    client.socket.destroy();
  });
});
