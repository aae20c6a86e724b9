import { formatDecision, formatReason } from '../kernel/decision.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { formatSecurableName, metastore, nameParts } from '../kernel/securable-name.ts';
import type { Place, TestEntry } from './document.ts';
import type { Snapshot } from './model.ts';

/** What one engine answered to a query, or why it did not. */
export interface EngineAnswer {
  /** `Postgres, gateway` */
  readonly engine: string;
  readonly ok: boolean;
  /** Texts as the engine prints them; null is NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
  readonly error?: string;
}

/** One test with its outcome. */
export interface TestResult {
  readonly at: Place;
  readonly as: PrincipalName;
  /** `cannot SELECT on shop.public.customers`, or the query. */
  readonly what: string;
  readonly ok: boolean;
  /** Why it failed, one line each; empty when it did not. */
  readonly problems: readonly string[];
  /** Query tests: the rows that were expected, and who was asked. */
  readonly expected?: readonly (readonly unknown[])[];
  readonly answers?: readonly EngineAnswer[];
}

/** `can` and `cannot`: asked of the decision, as the doors ask it. Query tests are left out. */
export function runDecisionTests(snapshot: Snapshot, tests: readonly TestEntry[]): readonly TestResult[] {
  return tests.flatMap((test) => (test.check.kind === 'rows' ? [] : [runDecisionTest(snapshot, test)]));
}

/**
 * `because` must stand in one of the reasons, as `explain` prints them: a gate, a grant, an owner, or a filter or mask
 * that binds. Both spellings of a privilege are read.
 */
function runDecisionTest(snapshot: Snapshot, { at, as, check }: TestEntry): TestResult {
  if (check.kind === 'rows') throw new Error('query tests run on engines');
  const on = check.on.value;
  const decision = snapshot.decide(as.value, check.privilege.value, on);
  const problems: string[] = [];
  if ((decision.effect === 'allow') !== (check.kind === 'can')) problems.push(formatDecision(decision));
  else if (check.because !== undefined) {
    const table = on === metastore ? on : formatSecurableName(nameParts(on).slice(0, 3));
    const bound = decision.effect === 'allow' ? snapshot.boundRules(as.value, table).reasons : [];
    const reasons = [...decision.because, ...bound].map(formatReason);
    const wanted = spelled(check.because);
    if (!reasons.some((reason) => spelled(reason).includes(wanted)))
      problems.push(
        `not because of ${JSON.stringify(check.because)}: ${formatDecision({ ...decision, because: [...decision.because, ...bound] })}`,
      );
  }
  const because = check.because === undefined ? '' : ` because ${check.because}`;
  const what = `${check.kind} ${check.privilege.value} on ${on}${because}`;
  return { at, as: as.value, what, ok: problems.length === 0, problems };
}

function spelled(text: string): string {
  return text.toLowerCase().replaceAll('_', ' ');
}
