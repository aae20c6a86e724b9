import { allUsers } from '../../kernel/principal.ts';
import type { PrincipalOrGroup } from '../document.ts';
import type { Findings } from '../findings.ts';
import type { Audience, ColumnMaskRule } from '../model.ts';
import type { AdviceInput, Containers } from './advice.ts';

// Whom policies bind, and groups and tags that mean nobody and nothing.

/** Masks below one that binds everyone whom they bind, on every column that they are on. */
export function checkShadowedMasks(input: AdviceInput, above: Containers, findings: Findings): void {
  const { snapshot, documents } = input;
  if (snapshot === undefined) return;
  const loses = new Map<string, string>();
  const wins = new Set<string>();
  for (const table of snapshot.catalog.tables.keys()) {
    const seen: ColumnMaskRule[] = [];
    for (const mask of snapshot.tableRules(table)?.masks ?? []) {
      const greater = seen.find(
        (other) =>
          other.column === mask.column &&
          other.policy !== mask.policy &&
          covers(other.audience, mask.audience, above),
      );
      if (greater === undefined) wins.add(mask.policy);
      else if (!loses.has(mask.policy))
        loses.set(mask.policy, `${greater.policy} outranks it on ${table}.${mask.column}`);
      seen.push(mask);
    }
  }
  for (const { name } of documents.policies) {
    const why = loses.get(name.value);
    if (why === undefined || wins.has(name.value)) continue;
    findings.warning(
      'shadowed-mask',
      name.at,
      `mask ${name.value} never wins: ${why} and binds everyone whom it binds`,
    );
  }
}

/** Whether everyone bound by `inner` is bound by `outer`, whoever joins which group. */
function covers(outer: Audience, inner: Audience, above: Containers): boolean {
  const within = (name: PrincipalOrGroup, names: readonly PrincipalOrGroup[]) =>
    above.of(name).some((one) => names.includes(one));
  return (
    inner.to.every((name) => within(name, outer.to) || within(name, inner.except)) &&
    outer.except.every((name) => within(name, inner.except))
  );
}

export function checkSubsetAudiences({ documents }: AdviceInput, findings: Findings): void {
  for (const policy of documents.policies) {
    if (policy.kind !== 'row-filter' || policy.to.length === 0) continue;
    if (policy.to.some(({ value }) => value === allUsers)) continue;
    const names = policy.to.map(({ value }) => value).join(', ');
    const message = `row filter ${policy.name.value} binds only ${names}: whoever else holds SELECT reads every row`;
    findings.note('subset-audience', policy.name.at, message);
  }
}

export function checkEmptyGroups({ documents }: AdviceInput, findings: Findings): void {
  for (const { name, members, source } of documents.groups)
    if (members.length === 0 && source === undefined)
      findings.note('empty-group', name.at, `group ${name.value} has no members`);
}

export function checkUnusedTags({ documents }: AdviceInput, findings: Findings): void {
  const used = new Set(documents.assign.flatMap(({ tags }) => tags.map(({ tag }) => tag.value)));
  for (const { name } of documents.tags)
    if (!used.has(name.value))
      findings.note('unused-tag', name.at, `tag ${name.value} is assigned to nothing`);
}
