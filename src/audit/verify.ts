import { join } from 'node:path';
import { WritError } from '../kernel/errors.ts';
import { isHash } from './chain.ts';
import { readLines } from './read.ts';
import { listSegments, listWriters } from './segment.ts';
import { type Finding, type KnownPlace, WriterCheck } from './verify-segment.ts';

// Recomputes every hash. Finds edits, gaps, reordering, replay and missing segments by itself; that the newest records
// were cut off cleanly can only be told against a checkpoint that was kept elsewhere.

/** A place that somebody noted outside: `writer:seq:chain`, or `seq:chain` where there is one writer. */
export interface Checkpoint extends KnownPlace {
  readonly writer?: string;
}

export interface Verification {
  readonly ok: boolean;
  readonly records: number;
  readonly erased: number;
  readonly segments: number;
  readonly findings: readonly Finding[];
  /** Each writer's end: the checkpoint to keep for the next time. */
  readonly tips: readonly (KnownPlace & { readonly writer: string })[];
}

/** @throws invalid_argument when a checkpoint names no writer and there are several; errors of the file system */
export function verifyAuditLog(folder: string, since?: Checkpoint): Verification {
  const writers = listWriters(folder);
  const knownWriter = since === undefined ? undefined : (since.writer ?? onlyWriter(writers));
  const checks = writers.map((writer) => {
    const check = new WriterCheck(writer, writer === knownWriter ? since : undefined);
    const files = listSegments(folder, writer);
    for (const [i, file] of files.entries())
      check.segment(file, readLines(file.path), i === files.length - 1);
    check.end(files.at(-1)?.path ?? join(folder, writer));
    return { writer, check, segments: files.length };
  });
  const findings = checks.flatMap(({ check }) => check.findings);
  if (knownWriter !== undefined && !writers.includes(knownWriter)) {
    findings.push({
      severity: 'broken',
      file: join(folder, knownWriter),
      line: 0,
      what: 'the writer of the checkpoint is gone',
    });
  }
  return {
    ok: findings.every((finding) => finding.severity !== 'broken'),
    records: sum(checks.map(({ check }) => check.records)),
    erased: sum(checks.map(({ check }) => check.erased)),
    segments: sum(checks.map(({ segments }) => segments)),
    findings,
    tips: checks.map(({ writer, check }) => ({ writer, ...check.tip })),
  };
}

/** Reads `writer:seq:chain` or `seq:chain`. @throws invalid_argument */
export function parseCheckpoint(text: string): Checkpoint {
  const match = /^(?:([a-z0-9][a-z0-9_-]{0,62}):)?([0-9]{1,15}):(\S+)$/.exec(text.trim());
  const chain = match?.[3] ?? '';
  if (match === null || !isHash(chain)) {
    throw new WritError('invalid_argument', {
      message: `invalid checkpoint ${JSON.stringify(text)}`,
      hint: 'a checkpoint is writer:sequence:chain, as `writ audit verify` prints it',
    });
  }
  return { ...(match[1] === undefined ? {} : { writer: match[1] }), seq: Number(match[2]), chain };
}

export function formatCheckpoint(tip: KnownPlace & { readonly writer: string }): string {
  return `${tip.writer}:${tip.seq}:${tip.chain}`;
}

function onlyWriter(writers: readonly string[]): string {
  const [first, ...others] = writers;
  if (first !== undefined && others.length === 0) return first;
  throw new WritError('invalid_argument', {
    message: 'the checkpoint must name its writer',
    hint: writers.length === 0 ? 'the folder holds no audit log' : `writers: ${writers.join(', ')}`,
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
