import { describe, expect, test } from 'vitest';
import { type ExpectationKind, Expectations, type Run } from '../../../src/gateway/pg/expectations.ts';

let last = 0;
function run(): Run {
  last += 1;
  const part = {
    command: 'SELECT',
    decision: { effect: 'allow', because: [] },
    tables: [],
    columns: [],
    redacted: '',
  } as const;
  return { statementId: String(last), part, startedAt: 0, rows: 0, bytes: 0 };
}

/** `query/2` is a Query with two statements. Plays answers and tells what each did: `step head ended>unrun,skipped`. */
function play(sent: string, answers: string): string[] {
  const expectations = new Expectations();
  for (const word of sent.split(' ')) {
    const [kind = '', count = kind === 'execute' ? '1' : '0'] = word.split('/');
    expectations.add({ kind: kind as ExpectationKind, runs: Array.from({ length: Number(count) }, run) });
  }
  const told = [...answers].map((type) => {
    const answered = expectations.receive(type);
    if (answered === undefined) return `${type}:-`;
    const { step, head, ended, skipped, unrun } = answered;
    return `${type}:${step} ${head.kind}${ended === undefined ? '' : ' ended'}${unrun.length > 0 ? ` unrun${unrun.length}` : ''}${skipped.length > 0 ? ` skipped${skipped.length}` : ''}`;
  });
  return [...told, expectations.idle ? 'idle' : `left ${expectations.length}`];
}

describe('each answer finds its message', () => {
  test.each<[string, string, string[]]>([
    [
      'query/1',
      'TDDCZ',
      ['T:more query', 'D:more query', 'D:more query', 'C:step query ended', 'Z:done query', 'idle'],
    ],
    ['query/2', 'CEZ', ['C:step query ended', 'E:fail query ended', 'Z:done query', 'idle']],
    ['query/3', 'EZ', ['E:fail query ended unrun2', 'Z:done query', 'idle']],
    ['query/0', 'IZ', ['I:step query', 'Z:done query', 'idle']],
    ['query/1', 'NSAZ', ['N:-', 'S:-', 'A:-', 'Z:done query unrun1', 'idle']],
    [
      'parse bind describe-portal execute sync',
      '12TDCZ',
      [
        '1:done parse',
        '2:done bind',
        'T:done describe-portal',
        'D:more execute',
        'C:finish execute ended',
        'Z:done sync',
        'idle',
      ],
    ],
    [
      'parse describe-statement sync',
      '1tnZ',
      ['1:done parse', 't:more describe-statement', 'n:done describe-statement', 'Z:done sync', 'idle'],
    ],
    [
      'parse bind execute sync query/1',
      'EZCZ',
      ['E:skip parse skipped2', 'Z:done sync', 'C:step query ended', 'Z:done query', 'idle'],
    ],
    ['execute sync', 'sZ', ['s:finish execute ended', 'Z:done sync', 'idle']],
    ['sync', 'EZ', ['E:fail sync', 'Z:done sync', 'idle']],
    ['close sync', '3Z', ['3:done close', 'Z:done sync', 'idle']],
  ])('%s ← %s', (sent, answers, told) => expect(play(sent, answers)).toEqual(told));
});

describe('COPY FROM STDIN', () => {
  test.each<[string, string, string[]]>([
    [
      'query/1 copy-end query/1',
      'GCZCZ',
      ['G:more query', 'C:step query ended', 'Z:done query', 'C:step query ended', 'Z:done query', 'idle'],
    ],
    // The first Sync is read, and ignored, while the server waits for data.
    [
      'execute sync copy-end sync',
      'GCZ',
      ['G:more execute', 'C:finish execute ended', 'Z:done sync', 'idle'],
    ],
    ['execute sync copy-end sync', 'GEZ', ['G:more execute', 'E:skip execute ended', 'Z:done sync', 'idle']],
    ['execute sync', 'GEZ', ['G:more execute', 'E:skip execute ended', 'Z:-', 'idle']],
    // It failed before it began to read: nothing was ignored.
    ['execute sync copy-end sync', 'EZZ', ['E:skip execute ended', 'Z:done sync', 'Z:done sync', 'idle']],
    [
      'query/2 copy-end copy-end',
      'GCGCZ',
      ['G:more query', 'C:step query ended', 'G:more query', 'C:step query ended', 'Z:done query', 'idle'],
    ],
  ])('%s ← %s', (sent, answers, told) => expect(play(sent, answers)).toEqual(told));
});

test('what the server may say at any time answers nothing', () => {
  expect(play('execute', 'NAS')).toEqual(['N:-', 'A:-', 'S:-', 'left 1']);
  expect(new Expectations().receive('E')).toBeUndefined();
});
