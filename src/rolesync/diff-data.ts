import type { AttributeRow, PlanOperation } from './plan-operation.ts';
import type { PolicyData, TokenKeyFact } from './state.ts';

/**
 * Attributes shrink first to what old and new have in common and grow last; exemptions and groups are taken away first
 * and given last: in between nobody sees more than before or after. `installed`: the tables exist already.
 */
export function diffData(actual: PolicyData, desired: PolicyData, installed: boolean): PlanOperation[] {
  const operations: PlanOperation[] = [];
  const removed = missingFrom(actual.attributes, desired.attributes);
  const shrunk: AttributeRow[] = [];
  const put: AttributeRow[] = [];
  for (const [key, row] of desired.attributes) {
    const there = actual.attributes.get(key);
    if (there !== undefined && sameValues(there.values, row.values)) continue;
    put.push(row);
    const common = there?.values.filter((value) => row.values.includes(value)) ?? [];
    if (there !== undefined && common.length < there.values.length) shrunk.push({ ...row, values: common });
  }
  const exemptionsGone = missingFrom(actual.exemptions, desired.exemptions);
  const membershipsGone = missingFrom(actual.memberships, desired.memberships);
  const exemptions = missingFrom(desired.exemptions, actual.exemptions);
  const memberships = missingFrom(desired.memberships, actual.memberships);
  if (installed) {
    if (removed.length > 0)
      operations.push({ op: 'remove-attributes', rows: removed, effect: 'narrow', phase: 'narrow' });
    if (shrunk.length > 0)
      operations.push({ op: 'put-attributes', rows: shrunk, effect: 'narrow', phase: 'narrow' });
    if (exemptionsGone.length > 0)
      operations.push({ op: 'remove-exemptions', rows: exemptionsGone, effect: 'narrow', phase: 'narrow' });
    if (membershipsGone.length > 0)
      operations.push({ op: 'remove-memberships', rows: membershipsGone, effect: 'narrow', phase: 'narrow' });
  }
  if (put.length > 0) operations.push({ op: 'put-attributes', rows: put, effect: 'widen', phase: 'widen' });
  if (memberships.length > 0)
    operations.push({ op: 'put-memberships', rows: memberships, effect: 'widen', phase: 'widen' });
  if (exemptions.length > 0)
    operations.push({ op: 'put-exemptions', rows: exemptions, effect: 'widen', phase: 'widen' });
  return operations;
}

/** Before the views that read it; it goes when none is left. Without it a token is NULL. */
export function diffTokenKey(actual: TokenKeyFact, { fingerprint }: TokenKeyFact): PlanOperation[] {
  if (actual.fingerprint === fingerprint) return [];
  return fingerprint === undefined
    ? [{ op: 'remove-token-key', effect: 'neutral', phase: 'clean-up' }]
    : [{ op: 'put-token-key', fingerprint, effect: 'neutral', phase: 'prepare' }];
}

function missingFrom<T>(from: ReadonlyMap<string, T>, other: ReadonlyMap<string, T>): readonly T[] {
  return [...from].flatMap(([key, row]) => (other.has(key) ? [] : [row]));
}

const sameValues = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);
