import type { PlanOperation, ViewGrant } from './plan-operation.ts';
import { type DatabaseState, type GrantTarget, keyOf, type ViewFact, viewKey } from './state.ts';

export interface ViewDiff {
  readonly operations: readonly PlanOperation[];
  /** The view is not what was made: nobody keeps a grant on it until it is made again. */
  isDistrusted(on: GrantTarget): boolean;
  /** The view is made, with its grants, by an operation of this diff. */
  bringsGrants(on: GrantTarget): boolean;
  /** The view is wanted and will not stand (paused, refused). */
  isAbsent(on: GrantTarget): boolean;
}

/** CREATE OR REPLACE where it can be, so that grants and prepared statements live; else dropped with the copies that read it. */
export function diffViews(actual: DatabaseState, desired: DatabaseState): ViewDiff {
  const absent = absentViews(actual, desired);
  const wanted = [...desired.views.values()].filter((fact) => !absent.has(viewKey(fact)));
  const distrusted = new Set(
    [...actual.views.values()].filter((fact) => notAsMade.has(fact.fingerprint)).map(viewKey),
  );
  const gone = [...actual.views.values()].filter(
    (fact) => fact.state === 'made' && (!desired.views.has(viewKey(fact)) || absent.has(viewKey(fact))),
  );
  const how = new Map<string, 'create' | 'replace' | 'recreate'>();
  for (const fact of wanted) {
    const need = needed(fact, actual.views.get(viewKey(fact)));
    if (need !== undefined) how.set(viewKey(fact), need);
  }
  spread(wanted, how, new Set(gone.map(viewKey)));
  const forgotten = [...actual.views.values()].filter(
    (fact) => fact.state !== 'made' && !desired.views.has(viewKey(fact)),
  );
  const operations: PlanOperation[] = [
    ...[...gone, ...forgotten]
      .sort((a, b) => b.ordinal - a.ordinal)
      .map(
        (fact): PlanOperation => ({
          op: 'drop-view',
          schema: fact.schema,
          name: fact.name,
          effect: 'narrow',
          phase: 'views',
        }),
      ),
    ...wanted.flatMap((fact): PlanOperation[] => {
      const kind = how.get(viewKey(fact));
      if (kind === undefined || fact.view === undefined) return [];
      return [
        {
          op: 'make-view',
          view: fact.view,
          fingerprint: fact.fingerprint,
          ordinal: fact.ordinal,
          how: kind,
          grants: grantsOn(fact, desired),
          effect: 'neutral',
          phase: 'views',
        },
      ];
    }),
  ];
  const is = (set: { has(key: string): boolean }) => (on: GrantTarget) =>
    on.kind === 'relation' && set.has(keyOf(on.schema, on.name));
  return { operations, isDistrusted: is(distrusted), bringsGrants: is(how), isAbsent: is(absent) };
}

const notAsMade: ReadonlySet<string> = new Set(['moved', 'altered', 'missing', 'not ours']);

function needed(fact: ViewFact, there: ViewFact | undefined): 'create' | 'replace' | 'recreate' | undefined {
  if (there === undefined || there.state === 'withdrawn') return 'create';
  if (there.fingerprint === fact.fingerprint) return undefined;
  if (there.state === 'refused') return 'create';
  if (notAsMade.has(there.fingerprint)) return 'recreate';
  // Postgres can add columns at the end of a view, and change nothing else about them.
  const extends_ = there.columns.every(
    (column, i) => column.name === fact.columns[i]?.name && column.type === fact.columns[i]?.type,
  );
  return extends_ ? 'replace' : 'recreate';
}

/** A copy goes with the view that it reads. Facts stand in their order of making. */
function spread(
  wanted: readonly ViewFact[],
  how: Map<string, 'create' | 'replace' | 'recreate'>,
  gone: ReadonlySet<string>,
): void {
  for (const fact of [...wanted].sort((a, b) => a.ordinal - b.ordinal)) {
    const broken = fact.dependsOn.some(
      (view) => gone.has(viewKey(view)) || how.get(viewKey(view)) === 'recreate',
    );
    if (broken) how.set(viewKey(fact), 'recreate');
  }
}

/** Views of paused tables and copies of those; views that Postgres refused as they are still wanted. */
function absentViews(actual: DatabaseState, desired: DatabaseState): ReadonlySet<string> {
  return withCopies(desired, (fact) => {
    const there = actual.views.get(viewKey(fact));
    const refused = there?.state === 'refused' && there.fingerprint === fact.fingerprint;
    return refused || isPaused(actual, fact);
  });
}

/** Keys of the views that stay out because a table is paused: theirs, or one that they read through another view. */
export function pausedViews(actual: DatabaseState, desired: DatabaseState): ReadonlySet<string> {
  return withCopies(desired, (fact) => isPaused(actual, fact));
}

function isPaused(actual: DatabaseState, { view }: ViewFact): boolean {
  return view !== undefined && actual.paused.has(keyOf(view.base.schema, view.base.name));
}

/** What `is` says, and the copies that read such a view, however deep. */
function withCopies(desired: DatabaseState, is: (fact: ViewFact) => boolean): ReadonlySet<string> {
  const found = new Set<string>();
  for (const fact of [...desired.views.values()].sort((a, b) => a.ordinal - b.ordinal))
    if (is(fact) || fact.dependsOn.some((view) => found.has(viewKey(view)))) found.add(viewKey(fact));
  return found;
}

function grantsOn(fact: ViewFact, desired: DatabaseState): ViewGrant[] {
  const byGrantee = new Map<string, string[]>();
  for (const grant of desired.grants.values()) {
    if (grant.on.kind !== 'relation' || grant.on.schema !== fact.schema || grant.on.name !== fact.name)
      continue;
    byGrantee.set(grant.grantee, [...(byGrantee.get(grant.grantee) ?? []), grant.privilege]);
  }
  return [...byGrantee].map(([grantee, privileges]) => ({ grantee, privileges: [...privileges].sort() }));
}
