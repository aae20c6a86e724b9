import { describe } from './describe.ts';
import { pausedViews } from './diff-views.ts';
import type { Observed } from './inspect.ts';
import type { PlanOperation } from './plan-operation.ts';
import { type DatabaseState, type ViewFact, viewKey } from './state.ts';

// How a database differs from policy, in words. Pure. `critical`: somebody may see or do more than policy says, or a
// wall is not what was built. `repairable`: something is missing. `reported`: for people to decide.

export interface DriftFinding {
  readonly severity: 'critical' | 'repairable' | 'reported';
  readonly summary: string;
}

export function driftOf(
  observed: Observed,
  desired: DatabaseState,
  operations: readonly PlanOperation[],
): readonly DriftFinding[] {
  const { state } = observed;
  const findings: DriftFinding[] = [...viewFindings(state, desired), ...kitFindings(state, desired)];
  const told = new Set(['make-view', 'install-schema', 'install-event-triggers']);
  for (const operation of operations) {
    if (told.has(operation.op) || (operation.op === 'drop-view' && !standsUnasked(state, operation)))
      continue;
    findings.push({
      severity: isWidened(operation) ? 'critical' : 'repairable',
      summary: `to repair: ${describe(operation)}`,
    });
  }
  for (const key of state.paused) {
    const [schema, name] = JSON.parse(key) as [string, string];
    findings.push({
      severity: 'reported',
      summary: `${schema}.${name} is paused: nobody reads it through us until \`writ sync resume\``,
    });
  }
  for (const role of observed.foreignRoles)
    findings.push({
      severity: 'reported',
      summary: `role ${role} is named like ours and is not: it is left alone`,
    });
  return findings;
}

/** Something is there that policy does not give. What only the owner of the views may do reaches nobody. */
function isWidened(operation: PlanOperation): boolean {
  return operation.phase === 'narrow' && operation.op !== 'remove-attributes';
}

function standsUnasked(
  state: DatabaseState,
  view: { readonly schema: string; readonly name: string },
): boolean {
  return state.views.get(viewKey(view))?.state === 'made';
}

function viewFindings(state: DatabaseState, desired: DatabaseState): DriftFinding[] {
  const paused = pausedViews(state, desired);
  return [...desired.views.values()].flatMap((fact) => {
    const there = state.views.get(viewKey(fact));
    // Reported with its table; one that stands all the same is looked at like any other.
    if (paused.has(viewKey(fact)) && there?.state !== 'made') return [];
    return viewFinding(fact, there) ?? [];
  });
}

function viewFinding(fact: ViewFact, there: ViewFact | undefined): DriftFinding | undefined {
  const name = `${fact.schema}.${fact.name}`;
  const base = fact.view === undefined ? '' : ` over ${fact.view.base.schema}.${fact.view.base.name}`;
  if (there === undefined) return { severity: 'repairable', summary: `the view ${name}${base} is missing` };
  if (there.fingerprint === 'moved')
    return {
      severity: 'critical',
      summary: `the view ${name} stands over a table whose name belongs to another one now`,
    };
  if (there.fingerprint === 'altered')
    return {
      severity: 'critical',
      summary: `the view ${name} is not what was made: its text, owner or options were changed`,
    };
  if (there.state === 'refused')
    return {
      severity: 'reported',
      summary: `${name} is not offered, because ${there.reason ?? 'Postgres refused it'}`,
    };
  if (there.state === 'withdrawn')
    return {
      severity: movedBase.test(there.reason ?? '') ? 'critical' : 'repairable',
      summary: `the view ${name}${base} is withdrawn: ${there.reason ?? 'it was dropped'}`,
    };
  if (there.fingerprint !== fact.fingerprint)
    return { severity: 'repairable', summary: `the view ${name}${base} is out of date` };
  return undefined;
}

/** Reasons of writ.view_obstacle that mean: what the policy was written for is not what the name means now. */
const movedBase = /another table|which the policy reads/;

function kitFindings(state: DatabaseState, desired: DatabaseState): DriftFinding[] {
  const findings: DriftFinding[] = [];
  for (const [name, hash] of desired.functions) {
    const there = state.functions.get(name);
    if (there === undefined)
      findings.push({ severity: 'repairable', summary: `the function writ.${name} is missing` });
    else if (there !== hash)
      findings.push({ severity: 'critical', summary: `the function writ.${name} is not what was installed` });
  }
  if (desired.eventTriggers === 'present' && state.eventTriggers !== 'present') {
    const severity = state.eventTriggers === 'altered' ? 'critical' : 'repairable';
    findings.push({
      severity,
      summary: `the event triggers are ${state.eventTriggers}: a migration of a governed table would be refused by our views`,
    });
  }
  return findings;
}
