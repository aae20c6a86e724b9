import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { CheckInput } from './check.ts';
import type { PolicyDocuments, PolicyEntry, PrincipalOrGroup } from './document.ts';
import { parseExpression } from './expression/parse.ts';
import { didYouMean, type Findings } from './findings.ts';
import { binds, Membership, type PrincipalClass } from './membership.ts';
import type { ColumnMaskRule } from './model.ts';
import { depthOf, type PlacedProblem } from './rules.ts';

/** Expressions, bindings, and masks that can meet. The expression parser must be loaded. */
export function checkPolicies(input: CheckInput, findings: Findings): void {
  const reported = new Set<string>();
  for (const problem of input.rules.problems) reportProblem(problem, findings, reported);
  for (const policy of input.documents.policies) {
    checkShape(policy, findings);
    checkGroupsOf(policy, input, findings);
  }
  for (const policy of input.rules.idle) checkIdle(policy, findings);
  checkMeetingMasks(input, findings);
}

function reportProblem(
  { policy, table, problem }: PlacedProblem,
  findings: Findings,
  reported: Set<string>,
): void {
  if (problem.kind === 'ambiguous') {
    const columns = problem.columns.join(', ');
    const message = `policy ${policy.name.value}: ${problem.name.value} matches several columns of ${table}: ${columns}`;
    findings.error('ambiguous-match', problem.name.at, message);
    return;
  }
  if (problem.kind === 'unusable-type') {
    const { column, name } = problem;
    const type = `${column.engineType}, a type outside the matrix`;
    const message = `policy ${policy.name.value}: ${name} is bound to ${table}.${column.name}, which is ${type}`;
    findings.error('unusable-type', policy.name.at, message);
    return;
  }
  for (const one of problem.parsed.problems) {
    const key = JSON.stringify([policy.name.value, one]);
    if (reported.has(key)) continue;
    reported.add(key);
    findings.error(one.rule, policy.expression.placeOf(one.offset), one.message, `on ${table}`);
  }
}

function checkShape(policy: PolicyEntry, findings: Findings): void {
  const hasValue = policy.match.some(({ name }) => name.value === 'value');
  if (policy.kind === 'column-mask' && !hasValue)
    findings.error(
      'no-masked-column',
      policy.name.at,
      `mask ${policy.name.value} needs match.value: the column it masks`,
    );
  for (const { name, conditions } of policy.match)
    if (conditions.length === 0) findings.error('empty-match', name.at, `match.${name.value} names no tag`);
  if (policy.to.length === 0)
    findings.error('empty-audience', policy.name.at, `policy ${policy.name.value} is for nobody`);
  if (policy.on.length === 0)
    findings.error('empty-scope', policy.name.at, `policy ${policy.name.value} is on nothing`);
}

function checkGroupsOf(policy: PolicyEntry, { documents }: CheckInput, findings: Findings): void {
  const declared = new Set<string>(documents.groups.map((group) => group.name.value));
  const text = assumeText(policy);
  for (const { name, offset } of text.groups) {
    if (declared.has(name)) continue;
    const message = `no such group ${JSON.stringify(name)}${didYouMean(name, declared)}`;
    findings.error('unknown-principal', policy.expression.placeOf(offset), message);
  }
}

/** A policy that covers no table is legal; its expression is held to everything but the types of columns. */
function checkIdle(policy: PolicyEntry, findings: Findings): void {
  for (const problem of assumeText(policy).problems)
    if (problem.rule !== 'expression-type')
      findings.error(problem.rule, policy.expression.placeOf(problem.offset), problem.message);
  if (policy.on.length === 0) return; // Said already.
  findings.warning('idle-policy', policy.name.at, `policy ${policy.name.value} applies to no table`);
}

function assumeText(policy: PolicyEntry) {
  const columns = new Map(policy.match.map(({ name }) => [name.value, { type: 'text' } as const]));
  return parseExpression(policy.expression.value, columns, policy.kind === 'row-filter' ? 'boolean' : 'text');
}

/** Two masks of one column, strength and height that can bind one person: nothing says which wins. */
function checkMeetingMasks({ documents, rules }: CheckInput, findings: Findings): void {
  const membership = new Membership(documents.groups, audienceNames(documents));
  const asked = new Set<string>();
  for (const [table, { masks }] of rules.tables)
    for (const [i, a] of masks.entries())
      for (const b of masks.slice(i + 1)) {
        if (a.column !== b.column || a.strength !== b.strength || depthOf(a.on) !== depthOf(b.on)) continue;
        const key = JSON.stringify([a.policy, b.policy]);
        if (a.policy === b.policy || asked.has(key)) continue;
        asked.add(key);
        if (!canMeet(a, b, membership, documents)) continue;
        const policy = documents.policies.find((one) => one.name.value === b.policy);
        if (policy === undefined) continue;
        const message = `masks ${a.policy} and ${b.policy} have equal strength on ${table}.${a.column} and can bind the same person`;
        findings.error('equal-strength', policy.name.at, message, 'give one of them a greater strength');
      }
}

/** Whether somebody, existing or yet to come, is bound by both: named people, and members of one group of each `to`. */
function canMeet(
  a: ColumnMaskRule,
  b: ColumnMaskRule,
  membership: Membership,
  documents: PolicyDocuments,
): boolean {
  const groups = new Set<string>(['all users', ...documents.groups.map((group) => group.name.value)]);
  const isGroup = (name: PrincipalOrGroup): name is GroupName => groups.has(name);
  const people = [
    ...a.audience.to,
    ...b.audience.to,
    ...documents.groups.flatMap((group) => group.members.map((member) => member.value)),
  ];
  const existing = people
    .filter((name): name is PrincipalName => !isGroup(name))
    .map((name) => membership.classOf(name));
  const imagined: PrincipalClass[] = [];
  for (const one of a.audience.to.filter(isGroup))
    for (const other of b.audience.to.filter(isGroup))
      imagined.push(membership.imagined(undefined, [one, other]));
  return [...existing, ...imagined].some((who) => binds(a.audience, who) && binds(b.audience, who));
}

function audienceNames(documents: PolicyDocuments): ReadonlySet<string> {
  return new Set(
    documents.policies.flatMap((policy) => [...policy.to, ...policy.except].map((name) => name.value)),
  );
}
