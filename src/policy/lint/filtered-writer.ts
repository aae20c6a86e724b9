import type { TableInfo } from '../../catalog/model.ts';
import type { Reason } from '../../kernel/decision.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';
import type { Place, PolicyDocuments } from '../document.ts';
import type { Findings } from '../findings.ts';
import type { Snapshot } from '../model.ts';
import type { AdviceInput } from './advice.ts';

// Writers who see only some rows, on tables where a change of one row reads or changes others. Triggers run with the
// writer's rights and read what the writer reads; cascades run with the owner's and see every row.

export function checkFilteredWriters({ snapshot, documents }: AdviceInput, findings: Findings): void {
  if (snapshot === undefined) return;
  const risky = [...snapshot.catalog.tables.values()].filter(
    ({ triggers = [], cascades = [] }) => triggers.length + cascades.length > 0,
  );
  if (risky.length === 0) return;
  const people = oneOfEachClass(snapshot);
  const places = new GrantPlaces(documents);
  for (const table of risky) checkTable(table, people, snapshot, places, findings);
}

/** Principals of one class differ in nothing that counts here. */
function oneOfEachClass(snapshot: Snapshot): readonly PrincipalName[] {
  const classes = new Map<object, PrincipalName>();
  for (const principal of snapshot.principals) {
    const own = snapshot.classOf(principal);
    if (!classes.has(own)) classes.set(own, principal);
  }
  return [...classes.values()];
}

function checkTable(
  table: TableInfo,
  people: readonly PrincipalName[],
  snapshot: Snapshot,
  places: GrantPlaces,
  findings: Findings,
): void {
  const reported = new Set<string>();
  for (const who of people) {
    const decision = snapshot.decide(who, 'MODIFY', table.name);
    if (decision.effect === 'deny') continue;
    const at = places.of(decision.because.at(-1));
    if (at === undefined) continue;
    for (const [key, words] of dangers(who, table, snapshot)) {
      const once = JSON.stringify([at, key]);
      if (reported.has(once)) continue;
      reported.add(once);
      findings.warning('filtered-writer', at, `${who} may write ${table.name}: ${words}`);
    }
  }
}

/** What → in words, for one writer. */
function dangers(who: PrincipalName, table: TableInfo, snapshot: Snapshot): readonly [string, string][] {
  const own = filtersOf(who, table.name, snapshot);
  const found: [string, string][] = [];
  if (own.length > 0)
    for (const trigger of table.triggers ?? [])
      found.push([
        trigger,
        `trigger ${trigger} runs with the rights of the writer, from whom ${own.join(', ')} hides rows, so that it computes from the visible ones only, or fails`,
      ]);
  for (const { constraint, table: other, actions } of table.cascades ?? []) {
    const hidden = filtersOf(who, other, snapshot);
    const unread = own.length > 0 && snapshot.decide(who, 'SELECT', other).effect === 'deny';
    if (hidden.length === 0 && !unread) continue;
    const why = hidden.length > 0 ? `${hidden.join(', ')} hides from the writer` : 'the writer may not read';
    found.push([
      `${other} ${constraint}`,
      `foreign key ${constraint} (${actions.join(', ')}) then also changes rows of ${other} that ${why}`,
    ]);
  }
  return found;
}

function filtersOf(who: PrincipalName, table: SecurableName, snapshot: Snapshot): readonly string[] {
  return snapshot.boundRules(who, table).filters.map((filter) => filter.policy);
}

/** Where the grant or the owner that opened a gate is written. */
class GrantPlaces {
  readonly #places = new Map<string, Place>();

  constructor({ grants, owners }: PolicyDocuments) {
    const note = (key: readonly string[], at: Place) => {
      const text = JSON.stringify(key);
      if (!this.#places.has(text)) this.#places.set(text, at);
    };
    for (const { owner, on } of owners)
      for (const one of on) note(['OWNER', one.value, owner.value], owner.at);
    for (const { on, to, privileges } of grants)
      for (const one of on)
        for (const subject of to)
          for (const { value, at } of privileges) note([value, one.value, subject.value], at);
  }

  of(reason: Reason | undefined): Place | undefined {
    if (reason?.kind === 'owner') return this.#places.get(JSON.stringify(['OWNER', reason.on, reason.owner]));
    if (reason?.kind !== 'grant') return undefined;
    return this.#places.get(JSON.stringify([reason.privilege, reason.on, reason.to]));
  }
}
