import { describe, expect, test } from 'vitest';
import { parseOptions, readStartup, splitOptions } from '../../../src/gateway/pg/startup.ts';
import { WritError } from '../../../src/kernel/errors.ts';

describe('options are split as pg_split_opts splits them', () => {
  test.each([
    ['', []],
    ['  -c a=b\t-c\nc=d ', ['-c', 'a=b', '-c', 'c=d']],
    ['-c a=b\\ c', ['-c', 'a=b c']],
    ['a\\\\b', ['a\\b']],
    ['\\-c x', ['-c', 'x']],
    ['end\\', ['end']],
  ])('%j', (options, words) => expect(splitOptions(options)).toEqual(words));
});

describe('options are read as Postgres reads them', () => {
  test.each([
    ['-c jit=off', { jit: 'off' }],
    ['-cjit=off', { jit: 'off' }],
    ['--jit=off', { jit: 'off' }],
    ['--lock-timeout=5', { lock_timeout: '5' }],
    ['-c JIT=On -c jit=off', { jit: 'off' }],
    ['-c a=b=c', { a: 'b=c' }],
  ])('%s', (options, settings) => expect(Object.fromEntries(parseOptions(options))).toEqual(settings));

  test.each([
    ['-c', '42601'],
    ['-c jit', '42601'],
    ['--jit', '42601'],
    ['-d 5', '0A000'],
    ['--', '0A000'],
    ['x', '0A000'],
    ['-r file', '0A000'],
  ])('%s is refused', (options, sqlstate) =>
    expect(caught(() => parseOptions(options)).sqlstate).toBe(sqlstate),
  );
});

const packet = (parameters: readonly (readonly [string, string])[], minor = 0, major = 3) =>
  ({ kind: 'startup', major, minor, parameters }) as const;

describe('the startup packet', () => {
  test('the database is the user’s name when it is not said; the packet wins over options', () => {
    const read = readStartup(
      packet([
        ['user', 'ana'],
        ['options', '-c jit=on -c geqo=off'],
        ['JIT', 'off'],
      ]),
    );
    expect(read).toMatchObject({ user: 'ana', database: 'ana', minor: 0, negotiate: undefined });
    expect(Object.fromEntries(read.settings)).toEqual({ jit: 'off', geqo: 'off' });
  });

  test('minor versions', () => {
    expect(readStartup(packet([['user', 'a']], 2))).toMatchObject({ minor: 2, negotiate: undefined });
    expect(readStartup(packet([['user', 'a']], 9999)).negotiate).toEqual({ minor: 2, unknown: [] });
    expect(
      readStartup(
        packet(
          [
            ['user', 'a'],
            ['_pq_.x', ''],
          ],
          0,
        ),
      ).negotiate,
    ).toEqual({ minor: 0, unknown: ['_pq_.x'] });
  });

  test.each<[string, readonly (readonly [string, string])[], string]>([
    [
      'duplicate user',
      [
        ['user', 'a'],
        ['user', 'b'],
      ],
      '08P01',
    ],
    [
      'a setting twice, in two spellings',
      [
        ['user', 'a'],
        ['jit', 'on'],
        ['Jit', 'off'],
      ],
      '08P01',
    ],
    [
      'user in another case is a setting',
      [
        ['user', 'a'],
        ['User', 'b'],
      ],
      '0A000',
    ],
    [
      'replication',
      [
        ['user', 'a'],
        ['replication', 'true'],
      ],
      '0A000',
    ],
    ['no user', [['database', 'a']], '28000'],
    [
      'row_security',
      [
        ['user', 'a'],
        ['row_security', 'off'],
      ],
      '42501',
    ],
    [
      'session_authorization in options',
      [
        ['user', 'a'],
        ['options', '--session-authorization=b'],
      ],
      '42501',
    ],
  ])('%s', (_, parameters, sqlstate) => {
    expect(caught(() => readStartup(packet(parameters))).sqlstate).toBe(sqlstate);
  });

  test('replication=false is no replication', () => {
    expect(
      readStartup(
        packet([
          ['user', 'a'],
          ['replication', 'false'],
        ]),
      ).user,
    ).toBe('a');
  });
});

function caught(act: () => unknown): WritError {
  try {
    act();
  } catch (error) {
    if (error instanceof WritError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
