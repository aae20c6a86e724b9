import { sameRow } from './compare-rows.ts';
import type { Place } from './document.ts';
import { formatFinding } from './findings.ts';
import { formatCounterexample, type InvariantResult } from './invariants.ts';
import type { Finding } from './model.ts';
import type { EngineAnswer, TestResult } from './run-tests.ts';

// What `writ policy test` found, as a value and in words. Pure.

export interface TestReport {
  /** Errors that keep the policy from compiling; broken invariants are not repeated here. */
  readonly findings: readonly Finding[];
  readonly tests: readonly TestResult[];
  readonly invariants: readonly InvariantResult[];
  /** How many principals the files name, and how many groups anybody may be in. */
  readonly principals: number;
  readonly groups: number;
  /** What of the catalog could not be made for the row tests. */
  readonly notes: readonly string[];
}

export function passed({ findings, tests, invariants }: TestReport): boolean {
  return findings.length === 0 && tests.every(({ ok }) => ok) && invariants.every(({ holds }) => holds);
}

/** One line a test, what failed below it; then the invariants; then the summary. */
export function formatTestReport(report: TestReport): string {
  const { findings, tests, invariants, notes } = report;
  const lines = [
    ...findings.map(formatFinding),
    ...tests.flatMap(formatTest),
    ...invariants.flatMap((one) => formatInvariant(one, report)),
    ...notes.map((note) => `note  ${note}`),
  ];
  return [...lines, summaryOf(report)].join('\n');
}

const where = ({ path, line }: Place) => `${path}:${line}`;

function formatTest(test: TestResult): readonly string[] {
  const engines = (test.answers ?? []).map(({ engine }) => engine);
  const on = engines.length === 0 ? '' : ` [${engines.join('; ')}]`;
  const head = `${test.ok ? 'ok   ' : 'FAIL '} ${where(test.at)} ${test.as}: ${test.what}${on}`;
  if (test.ok) return [head];
  return [
    head,
    ...test.problems.map((problem) => `        ${problem}`),
    ...beside(test.expected ?? [], test.answers ?? []),
  ];
}

/** Expected and got in two columns, once for all engines that answered the same; rows without a partner are marked. */
function beside(
  expected: readonly (readonly unknown[])[],
  answers: readonly EngineAnswer[],
): readonly string[] {
  const alike = new Map<string, EngineAnswer[]>();
  for (const answer of answers) {
    if (answer.ok || answer.error !== undefined) continue;
    const key = JSON.stringify(answer.rows);
    alike.set(key, [...(alike.get(key) ?? []), answer]);
  }
  return [...alike.values()].flatMap((same) => columns(expected, same));
}

function columns(
  expected: readonly (readonly unknown[])[],
  same: readonly EngineAnswer[],
): readonly string[] {
  const got = same[0]?.rows ?? [];
  const left = expected.map((row) => row.map(cell).join(', '));
  const width = Math.max('expected'.length, ...left.map(({ length }) => length));
  const line = (a: string, mark: string, b: string) => `        ${a.padEnd(width)} ${mark} ${b}`.trimEnd();
  const rows = Array.from({ length: Math.max(expected.length, got.length) }, (_, i) =>
    line(left[i] ?? '', markOf(expected[i], got[i]), got[i]?.map(cell).join(', ') ?? ''),
  );
  const engines = same.map(({ engine }) => engine).join('; ');
  return [line('expected', '|', `${engines}${got.length === 0 ? ' (no rows)' : ''}`), ...rows];
}

/** As rows are compared, not as they are printed: 10.5 is 10.50. */
function markOf(
  expected: readonly unknown[] | undefined,
  got: readonly (string | null)[] | undefined,
): string {
  if (expected === undefined) return '>';
  if (got === undefined) return '<';
  return sameRow(expected, got) ? '|' : '≠';
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function formatInvariant(result: InvariantResult, report: TestReport): readonly string[] {
  const { invariant, words, holds, counterexamples, more } = result;
  if (holds) {
    const people = `${count(report.principals, 'principal')} and any future member of ${count(report.groups, 'group')}`;
    return [`ok    ${where(invariant.at)} holds: ${words} – proven for ${people}`];
  }
  return [
    `FAIL  ${where(invariant.at)} does not hold: ${words}`,
    ...counterexamples.flatMap((one) => [
      `        ${formatCounterexample(one)}`,
      ...one.path.map((step) => `          ${step}`),
    ]),
    ...(more > 0 ? [`        and ${more} more`] : []),
  ];
}

function summaryOf({ findings, tests, invariants }: TestReport): string {
  if (findings.length > 0 && tests.length + invariants.length === 0)
    return `${count(findings.length, 'error')}; nothing was run`;
  const failed = tests.filter(({ ok }) => !ok).length;
  const broken = invariants.filter(({ holds }) => !holds).length;
  const errors = findings.length === 0 ? [] : [count(findings.length, 'error')];
  return [
    ...errors,
    `${count(tests.length, 'test')}: ${tests.length - failed} ok, ${failed} failed`,
    `${count(invariants.length, 'invariant')}: ${invariants.length - broken} hold${invariants.length - broken === 1 ? 's' : ''}, ${broken} broken`,
  ].join('; ');
}

function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`;
}
