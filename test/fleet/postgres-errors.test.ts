import { describe, expect, test } from 'vitest';
import { isTransient, mapPostgresError, retryTransient } from '../../src/fleet/postgres-errors.ts';
import { WritError } from '../../src/kernel/errors.ts';

const failed = (sqlstate: string, message = 'x'): WritError =>
  new WritError('query_failed', { sqlstate, message });

describe('errors of a cluster', () => {
  test('what may succeed when tried again, and what may not', () => {
    for (const state of ['40001', '40P01', '55P03', '57014']) expect(isTransient(failed(state))).toBe(true);
    expect(isTransient(failed('XX000', 'tuple concurrently updated'))).toBe(true);
    expect(isTransient(failed('XX000', 'cache lookup failed'))).toBe(false);
    expect(isTransient(failed('23505', 'duplicate key … "pg_authid_rolname_index"'))).toBe(true);
    expect(isTransient(failed('23505', 'duplicate key … "customers_pkey"'))).toBe(false);
    for (const state of ['42501', '2BP01', '25006']) expect(isTransient(failed(state))).toBe(false);
    expect(isTransient(new WritError('unreachable'))).toBe(false);
  });

  test('a server error keeps its SQLSTATE, a lost connection becomes unreachable', () => {
    const server = Object.assign(new Error('no'), { code: '42501', severity: 'ERROR' });
    expect(mapPostgresError(server, 'here')).toMatchObject({ code: 'permission_denied', sqlstate: '42501' });
    const shutdown = Object.assign(new Error('bye'), { code: '57P01', severity: 'FATAL' });
    expect(mapPostgresError(shutdown, 'here').code).toBe('unreachable');
    const socket = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(mapPostgresError(socket, 'here')).toMatchObject({ code: 'unreachable' });
  });

  test('retries until it works, and stops at a refusal', async () => {
    let calls = 0;
    const result = await retryTransient(
      async () => {
        calls++;
        if (calls < 3) throw failed('55P03');
        return 'done';
      },
      { pauseMs: 1 },
    );
    expect([result, calls]).toEqual(['done', 3]);
    calls = 0;
    const refused = retryTransient(async () => {
      calls++;
      throw failed('42501');
    });
    await expect(refused).rejects.toMatchObject({ sqlstate: '42501' });
    expect(calls).toBe(1);
  });
});
