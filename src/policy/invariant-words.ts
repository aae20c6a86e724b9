import { formatReason, type Reason } from '../kernel/decision.ts';
import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { InvariantEntry, TagCondition } from './document.ts';
import type { Opened } from './imagined.ts';

// What invariants say, for people.

/** `ana@acme.test`, `anyone`, `anyone in analysts and loaders`. */
export function whoIs(name: PrincipalName | undefined, groups: readonly GroupName[]): string {
  const who = name ?? 'anyone';
  return groups.length === 0 ? who : `${who} in ${groups.join(' and ')}`;
}

/** The rule behind a gate, in the words of a decision. */
export function because({ gate, rule }: Opened): string {
  const reason: Reason =
    rule.act === 'OWNER'
      ? { kind: 'owner', on: rule.on, owner: rule.subject, gate: gate.privilege }
      : {
          kind: 'grant',
          privilege: rule.act,
          on: rule.on,
          to: rule.subject,
          via: [],
          gate: gate.privilege,
        };
  return formatReason(reason);
}

export interface Extent {
  readonly columns: number;
  readonly tables: number;
}

/** `columns tagged pii (3 columns, 2 tables) unmasked only for stewards` */
export function describeInvariant(invariant: InvariantEntry, { columns, tables }: Extent): string {
  const only = invariant.only.length === 0 ? 'nobody' : invariant.only.map(({ value }) => value).join(', ');
  const some = count(tables, 'table');
  switch (invariant.claim) {
    case 'unmaskedOnlyFor':
      return `columns tagged ${tagged(invariant.forall)} (${count(columns, 'column')}, ${some}) unmasked only for ${only}`;
    case 'filteredExceptFor':
      return `tables tagged ${tagged(invariant.forall)} (${some}) filtered for all except ${only}`;
    case 'readableOnlyBy':
      return `tables tagged ${tagged(invariant.forall)} (${some}) readable only by ${only}`;
    default: {
      const on = invariant.on.map(({ value }) => value).join(', ');
      return `${invariant.privilege.value} on ${on} (${count(tables, 'securable')}) only for ${only}`;
    }
  }
}

function tagged(conditions: readonly TagCondition[]): string {
  return conditions
    .map(({ tag, values }) =>
      values === true ? tag.value : `${tag.value}: ${values.map(({ value }) => value).join(' or ')}`,
    )
    .join(', ');
}

function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`;
}
