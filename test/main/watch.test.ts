import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { WritError } from '../../src/kernel/errors.ts';
import { type Job, lookOnce } from '../../src/main/watch.ts';

test('a job that fails stops no other, and is told once until it is well or fails otherwise', async () => {
  const lines: string[] = [];
  const logger = pino(
    new Writable({
      write(chunk, _encoding, done) {
        const { job, error } = JSON.parse(String(chunk)) as { job: string; error: string };
        lines.push(`${job}: ${error}`);
        done();
      },
    }),
  );
  let broken: string | undefined = 'no route';
  let ran = 0;
  const jobs: readonly Job[] = [
    {
      name: 'first',
      run: async () => {
        if (broken !== undefined) throw new WritError('unreachable', { message: broken });
      },
    },
    {
      name: 'last',
      run: async () => {
        ran++;
      },
    },
  ];
  const failing = new Map<string, string>();
  for (const state of ['no route', 'no route', undefined, 'no route']) {
    broken = state;
    await lookOnce(jobs, failing, logger);
  }
  expect(ran).toBe(4);
  expect(lines).toEqual(['first: no route', 'first: no route']);
});
