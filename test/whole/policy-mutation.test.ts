import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CatalogSnapshot } from '../../src/catalog/model.ts';
import { catalogFromJson } from '../../src/catalog/snapshot-json.ts';
import type { PrincipalName } from '../../src/kernel/principal.ts';
import { prepare, report, rowsIn } from '../../src/main/policy-test.ts';
import { openScratch, type Scratch } from '../../src/main/scratch.ts';
import { loadPolicyFiles } from '../../src/policy/load.ts';
import type { PolicyFile, Snapshot } from '../../src/policy/model.ts';
import { planPolicy } from '../../src/policy/plan.ts';
import { formatTestReport, passed } from '../../src/policy/test-report.ts';
import { testbedOf } from '../../src/policy/testbed.ts';
import { startCompany } from './company.ts';
import { mutantsOf } from './mutations.ts';

// Each row of the sample policy removed or widened in turn: its own tests and invariants notice.

const folder = join(import.meta.dirname, '..', '..', 'policies');
const people = ['ana', 'omar', 'sam', 'pat', 'carla', 'nina']
  .map((name) => `${name}@acme.test`)
  .concat('etl');

/** Changes that nobody can notice, each with why; the test proves of every one that it changes nobody's access. */
const equivalent: readonly (readonly [name: RegExp, because: string])[] = [
  [/^require\./, 'a rule for who writes files: while all look-alikes are tagged it gives and takes nothing'],
  [/^groups\.analysts\.members: \+ stewards$/, 'the one steward is an analyst already'],
  [
    /^groups\.stewards\.members: \+/,
    'stewards are spared filters and masks of what they read: these read nothing',
  ],
  [
    /^attributes\.(sam|pat|carla|nina|etl).*: given a region$/,
    'no filter binds them on a table that they read',
  ],
  [/^grants\.1\.on: is system$/, 'access is the only schema of system'],
  [/^grants\.[34]\.privileges: \+ MODIFY$/, 'MODIFY needs SELECT, which loaders have on orders alone'],
  [/^grants\.4\.to: \+/, 'USE SCHEMA needs USE CATALOG, and who else has that may use the schema already'],
  [/^grants\.4\.on: is shop$/, 'public is the only schema of shop'],
  [/^policies\.0\.match\.region\.residency: is true$/, 'region is the only value of residency'],
  [/^policies\.2\.on: is shop$/, 'phones are in shop alone'],
];

let catalog: CatalogSnapshot;
let files: readonly PolicyFile[];
let scratch: Scratch;
let original: Snapshot;
beforeAll(async () => {
  files = await loadPolicyFiles(folder);
  const company = await startCompany();
  const kept = readFileSync(join(company.home, 'last-good-catalog.json'), 'utf8');
  catalog = catalogFromJson(JSON.parse(kept));
  await company.stop();
  const { documents, bare, snapshot } = await prepare(files, catalog);
  if (snapshot === undefined) throw new Error('the sample does not compile');
  original = snapshot;
  scratch = await openScratch(testbedOf(documents, catalog), bare);
});
afterAll(async () => {
  await scratch?.close();
});

/** What notices the change (a finding, an invariant, a decision, a row), or that it changes nobody's access. */
async function outcome(mutant: readonly PolicyFile[]): Promise<string> {
  const ready = await prepare(mutant, catalog);
  const { snapshot } = ready;
  const pure = report(ready, [], []);
  if (pure.findings.length > 0 || snapshot === undefined) return 'finding';
  if (pure.invariants.some(({ holds }) => !holds)) return 'invariant';
  if (pure.tests.some(({ ok }) => !ok)) return 'decision';
  if (changesNothing(snapshot)) return 'nothing';
  await scratch.apply(ready.bare);
  const rows = await rowsIn(scratch, ready, snapshot, { stopAtFailure: true });
  return rows.some(({ ok }) => !ok) ? 'rows' : planPolicy(original, snapshot).summary;
}

/** Attributes count where a filter that binds the person could ask for them. */
function changesNothing(mutant: Snapshot): boolean {
  return planPolicy(original, mutant).shared.every(({ principals, gains, loses, changes = [] }) => {
    const onlyAttributes = [...gains, ...loses, ...changes].every((what) => what.startsWith('attribute '));
    return onlyAttributes && principals.every((person) => !isFiltered(mutant, person));
  });
}

function isFiltered(mutant: Snapshot, person: PrincipalName): boolean {
  return [...catalog.tables.keys()].some(
    (table) =>
      mutant.decide(person, 'SELECT', table).effect === 'allow' &&
      mutant.boundRules(person, table).filters.length > 0,
  );
}

test('the sample as it is: everything is ok, on every engine', async () => {
  const ready = await prepare(files, catalog);
  const done = report(ready, await rowsIn(scratch, ready, original), scratch.problems);
  expect(formatTestReport(done)).not.toMatch(/FAIL|note/);
  expect(passed(done)).toBe(true);
  const engines = new Set(done.tests.flatMap(({ answers = [] }) => answers.map(({ engine }) => engine)));
  expect([...engines].sort()).toEqual(['DuckDB, gateway', 'Postgres, direct', 'Postgres, gateway']);
});

test('every mutant of sample.yaml is noticed, or changes nobody’s access', { timeout: 300_000 }, async () => {
  const sample = files.find(({ path }) => path === 'sample.yaml')?.text ?? '';
  const mutants = mutantsOf(sample, people);
  expect(mutants.length).toBeGreaterThan(150);
  const by = new Map<string, string[]>();
  for (const { name, text } of mutants) {
    const what = await outcome(
      files.map((file) => (file.path === 'sample.yaml' ? { path: file.path, text } : file)),
    );
    by.set(what, [...(by.get(what) ?? []), name]);
  }
  const unseen = (by.get('nothing') ?? []).filter((name) => !equivalent.some(([known]) => known.test(name)));
  expect(unseen).toEqual([]);
  // Every kind of test has its part, and nothing else came out.
  expect([...by.keys()].sort()).toEqual(['decision', 'finding', 'invariant', 'nothing', 'rows']);
  // No excuse has outlived its reason.
  const excused = by.get('nothing') ?? [];
  expect(equivalent.filter(([known]) => !excused.some((name) => known.test(name)))).toEqual([]);
});
