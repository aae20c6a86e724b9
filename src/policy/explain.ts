import { type Decision, formatReason } from '../kernel/decision.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import { formatSecurableName, metastore, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { compareText } from './findings.ts';
import type { BoundRules, Snapshot } from './model.ts';

export interface Explanation {
  readonly principal: PrincipalName;
  readonly privilege: Privilege;
  readonly on: SecurableName;
  readonly decision: Decision;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly rowFilters: readonly {
    readonly policy: string;
    readonly on: SecurableName;
    readonly expression: string;
  }[];
  readonly columnMasks: readonly {
    readonly column: string;
    readonly policy: string;
    readonly on: SecurableName;
    readonly expression: string;
  }[];
  /** For people: one fact a line. */
  readonly lines: readonly string[];
}

/** Why a principal may or may not, and what it would see: the same decision value that the doors act on. */
export function explain(
  snapshot: Snapshot,
  principal: PrincipalName,
  privilege: Privilege,
  on: SecurableName,
): Explanation {
  const decision = snapshot.decide(principal, privilege, on);
  const table = on === metastore ? on : formatSecurableName(nameParts(on).slice(0, 3));
  const bound = snapshot.boundRules(principal, table);
  const allowed = decision.effect === 'allow';
  const parts = {
    principal,
    privilege,
    on,
    decision,
    groups: [...snapshot.groupsOf(principal)].sort(compareText),
    attributes: Object.fromEntries(snapshot.attributes(principal)),
    rowFilters: allowed ? filtersOf(bound) : [],
    columnMasks: allowed ? masksOf(bound) : [],
  };
  return { ...parts, lines: linesOf(parts, snapshot, table) };
}

function filtersOf(bound: BoundRules): Explanation['rowFilters'] {
  return bound.filters.map((rule) => ({ policy: rule.policy, on: rule.on, expression: rule.text ?? '' }));
}

function masksOf(bound: BoundRules): Explanation['columnMasks'] {
  return [...bound.masks].map(([column, rule]) => ({
    column,
    policy: rule.policy,
    on: rule.on,
    expression: rule.text ?? '',
  }));
}

function linesOf(
  parts: Omit<Explanation, 'lines'>,
  snapshot: Snapshot,
  table: SecurableName,
): readonly string[] {
  const { principal, privilege, on, decision, rowFilters, columnMasks } = parts;
  const verb = decision.effect === 'allow' ? 'may' : 'may not';
  const attributes = Object.entries(parts.attributes).map(
    ([name, values]) => `  attribute ${name}: ${values.length === 0 ? '(empty)' : values.join(', ')}`,
  );
  const exempt =
    decision.effect === 'allow' && snapshot.boundRules(principal, table).exemptFromAll
      ? ['  exempt from every row filter and column mask of the table']
      : [];
  return [
    `${principal} ${verb} ${privilege} on ${on}`,
    ...new Set(decision.because.map((reason) => `  ${formatReason(reason)}`)),
    `  groups: ${parts.groups.join(', ')}`,
    ...attributes,
    ...rowFilters.map(
      (filter) => `  row filter ${filter.policy} (set on ${filter.on}): ${filter.expression}`,
    ),
    ...columnMasks.map(
      (mask) => `  ${mask.column} masked by ${mask.policy} (set on ${mask.on}): ${mask.expression}`,
    ),
    ...exempt,
  ];
}

/** Named or known principals who may, by name, with the decision that says why: at most `limit` after `after`. */
export function whoCan(
  snapshot: Snapshot,
  privilege: Privilege,
  on: SecurableName,
  page: { readonly after?: PrincipalName | undefined; readonly limit?: number } = {},
): readonly { readonly principal: PrincipalName; readonly decision: Decision }[] {
  const { after, limit = Number.POSITIVE_INFINITY } = page;
  return [...snapshot.principals]
    .filter((principal) => after === undefined || compareText(principal, after) > 0)
    .filter((principal) => snapshot.asking(principal)(privilege, on))
    .sort(compareText)
    .slice(0, limit)
    .map((principal) => ({ principal, decision: snapshot.decide(principal, privilege, on) }));
}

/** Tables and views on which a principal holds a privilege, by name: at most `limit` after the name `after`. */
export function whatCan(
  snapshot: Snapshot,
  principal: PrincipalName,
  privilege: Privilege,
  page: { readonly after?: SecurableName; readonly limit?: number } = {},
): readonly SecurableName[] {
  const { after, limit = Number.POSITIVE_INFINITY } = page;
  const may = snapshot.asking(principal);
  const names = snapshot.tableNames();
  const found: SecurableName[] = [];
  for (let i = after === undefined ? 0 : firstAfter(names, after); i < names.length; i++) {
    const name = names[i];
    if (found.length >= limit) break;
    if (name !== undefined && may(privilege, name)) found.push(name);
  }
  return found;
}

/** Where the first name after another stands in a sorted list. */
function firstAfter(names: readonly SecurableName[], after: SecurableName): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareText(names[middle] ?? '', after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
