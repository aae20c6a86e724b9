import type { CatalogSnapshot } from '../catalog/model.ts';
import { type Compiled, compileFiles } from '../policy/compile.ts';
import type { PolicyDocuments } from '../policy/document.ts';
import type { PolicyFile, Snapshot } from '../policy/model.ts';
import { parsePolicyFiles } from '../policy/parse.ts';
import { runDecisionTests, type TestResult } from '../policy/run-tests.ts';
import type { TestReport } from '../policy/test-report.ts';
import { testbedOf } from '../policy/testbed.ts';
import { withoutTests } from '../policy/without-tests.ts';
import { runRowTests, usualCatalog } from './row-tests.ts';
import { openScratch, type Scratch } from './scratch.ts';

// `writ policy test`: decisions and invariants are asked of the compiled policy; queries run on real engines, in a
// scratch instance that is gone afterwards.

export interface PolicyTestRequest {
  readonly files: readonly PolicyFile[];
  readonly catalog: CatalogSnapshot;
}

/** @throws what keeps the scratch instance from starting; nothing of it is left. */
export async function runPolicyTests({ files, catalog }: PolicyTestRequest): Promise<TestReport> {
  const ready = await prepare(files, catalog);
  if (ready.snapshot === undefined || !hasQueries(ready.documents)) return report(ready, [], []);
  const scratch = await openUntilSignal(() => openScratch(testbedOf(ready.documents, catalog), ready.bare));
  try {
    return report(ready, await rowsIn(scratch, ready, ready.snapshot), scratch.problems);
  } finally {
    await scratch.close();
  }
}

export interface Prepared {
  readonly documents: PolicyDocuments;
  /** The files without their tests: what runs in the scratch. */
  readonly bare: readonly PolicyFile[];
  readonly compiled: Compiled;
  /** Also of a policy that breaks its invariants: its tests can still be run. */
  readonly snapshot: Snapshot | undefined;
  readonly catalog: CatalogSnapshot;
}

/** Everything that needs no engine. */
export async function prepare(files: readonly PolicyFile[], catalog: CatalogSnapshot): Promise<Prepared> {
  const now = Date.now();
  const compiled = await compileFiles(files, catalog, [], now);
  const { documents } = parsePolicyFiles(files);
  const onlyInvariants = compiled.findings.every(
    ({ severity, rule }) => severity !== 'error' || rule === 'invariant',
  );
  const bare = onlyInvariants ? withoutTests(files) : [];
  const snapshot = onlyInvariants ? (await compileFiles(bare, catalog, [], now)).snapshot : undefined;
  return { documents, bare, compiled, snapshot, catalog };
}

function hasQueries({ tests }: PolicyDocuments): boolean {
  return tests.some(({ check }) => check.kind === 'rows');
}

/** Query tests in a scratch where the policy is in force already. */
export function rowsIn(
  scratch: Scratch,
  { documents, catalog }: Prepared,
  snapshot: Snapshot,
  options: { readonly stopAtFailure?: boolean } = {},
): Promise<readonly TestResult[]> {
  const usual = usualCatalog(documents.testTables.map(({ name }) => name.value));
  return runRowTests({ scratch, snapshot, catalog, usual }, documents.tests, options);
}

/** All outcomes, tests in the order of the files. */
export function report(
  { documents, compiled, snapshot }: Prepared,
  rows: readonly TestResult[],
  notes: readonly string[],
): TestReport {
  const decided = snapshot === undefined ? [] : runDecisionTests(snapshot, documents.tests);
  const places = new Map(documents.tests.map(({ at }, i) => [`${at.path}:${at.line}:${at.column}`, i]));
  const order = ({ at }: TestResult) => places.get(`${at.path}:${at.line}:${at.column}`) ?? 0;
  return {
    findings: compiled.findings.filter(({ severity, rule }) => severity === 'error' && rule !== 'invariant'),
    tests: [...decided, ...rows].toSorted((a, b) => order(a) - order(b)),
    invariants: compiled.invariants,
    principals: snapshot?.principals.size ?? 0,
    groups: documents.groups.length,
    notes,
  };
}

/** A signal stops and removes the scratch before the process ends, also while it is being made. */
async function openUntilSignal(open: () => Promise<Scratch>): Promise<Scratch> {
  const opening = open();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = () => {
    void opening
      .then((scratch) => scratch.close())
      .catch(() => undefined)
      .finally(() => process.exit(130));
  };
  for (const signal of signals) process.once(signal, stop);
  const forget = () => {
    for (const signal of signals) process.off(signal, stop);
  };
  try {
    const scratch = await opening;
    const close = () => scratch.close().finally(forget);
    return { ...scratch, close };
  } catch (thrown) {
    forget();
    throw thrown;
  }
}
