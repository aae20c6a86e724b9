import { notInAllPrivileges, type Privilege } from '../../kernel/privilege.ts';
import { metastore, type SecurableName, withAncestors } from '../../kernel/securable-name.ts';
import type { GrantEntry, Place, PrincipalOrGroup } from '../document.ts';
import type { Findings } from '../findings.ts';
import { type AdviceInput, type Containers, isLive } from './advice.ts';

// Grants that another grant implies. Every grant is looked up by securable and subject, so that the time grows with
// the number of grants and not with its square.

/** One privilege of one grant on one securable to one subject: of several alike, the one that lives longest. */
interface Told {
  readonly grant: GrantEntry;
  readonly at: Place;
  readonly expires: number;
}

type Index = Map<SecurableName, Map<PrincipalOrGroup, Map<string, Told>>>;

export function checkShadowedGrants(input: AdviceInput, above: Containers, findings: Findings): void {
  const live = input.documents.grants.filter((grant) => isLive(grant, input.now));
  const index = indexOf(live);
  for (const grant of live) {
    const acts = actsOf(grant);
    for (const on of grant.on) {
      const places = ancestorsWithGrants(on.value, index);
      for (const to of grant.to) {
        const byOther = new Map<string, { given: Set<string>; by: Set<string> }>();
        for (const act of acts) {
          const other = wider({ grant, act, on: on.value, to: to.value }, places, above, index);
          if (other === undefined) continue;
          const alike = byOther.get(other.where) ?? { given: new Set(), by: new Set() };
          alike.given.add(act.words);
          alike.by.add(other.words);
          byOther.set(other.where, alike);
        }
        for (const [where, { given, by }] of byOther) {
          const own = `${[...given].join(', ')} on ${on.value} to ${to.value}`;
          const message = `${own} is already given by ${[...by].join(', ')} ${where}`;
          findings.warning('shadowed-grant', to.at, message);
        }
      }
    }
  }
}

function indexOf(live: readonly GrantEntry[]): Index {
  const index: Index = new Map();
  for (const grant of live)
    for (const on of grant.on) {
      const subjects = index.get(on.value) ?? new Map<PrincipalOrGroup, Map<string, Told>>();
      index.set(on.value, subjects);
      for (const to of grant.to) {
        const acts = subjects.get(to.value) ?? new Map<string, Told>();
        subjects.set(to.value, acts);
        const told = { grant, at: to.at, expires: grant.expires?.value ?? Number.POSITIVE_INFINITY };
        for (const act of actsOf(grant)) {
          const before = acts.get(act.key);
          if (before === undefined || before.expires < told.expires) acts.set(act.key, told);
        }
      }
    }
  return index;
}

interface Act {
  readonly key: string;
  readonly words: string;
  /** Keys that imply this one where they are granted, its own first. */
  readonly impliedBy: readonly string[];
}

/** A selector of clusters is part of the key: only a grant without one, or with the same, covers as much. */
function actsOf(grant: GrantEntry): readonly Act[] {
  const selector = grant.clusters === undefined ? '' : ` ${JSON.stringify([...grant.clusters].sort())}`;
  const act = (name: string, others: readonly string[]): Act => {
    const bare = [name, ...others];
    const own = selector === '' ? [] : bare.map((one) => `${one}${selector}`);
    return { key: `${name}${selector}`, words: name, impliedBy: [...own, ...bare] };
  };
  if (grant.assume !== undefined) return [act(`assume ${grant.assume.value}`, [])];
  return grant.privileges.map(({ value }) => act(value, inAll(value) ? ['ALL PRIVILEGES'] : []));
}

const inAll = (privilege: Privilege): boolean =>
  privilege !== 'ALL PRIVILEGES' && !notInAllPrivileges.has(privilege);

/** Nearest first. What is granted on the metastore is not inherited. */
function ancestorsWithGrants(on: SecurableName, index: Index): readonly SecurableName[] {
  if (on === metastore) return [on];
  return withAncestors(on).filter((name) => name !== metastore && index.has(name));
}

interface Asked {
  readonly grant: GrantEntry;
  readonly act: Act;
  readonly on: SecurableName;
  readonly to: PrincipalOrGroup;
}

/** @returns the nearest grant that implies what is asked and lives as long: its privilege, and where it stands */
function wider(
  asked: Asked,
  places: readonly SecurableName[],
  above: Containers,
  index: Index,
): { readonly words: string; readonly where: string } | undefined {
  const { grant, act, on, to } = asked;
  const expires = grant.expires?.value ?? Number.POSITIVE_INFINITY;
  for (const place of places) {
    const subjects = index.get(place);
    for (const subject of above.of(to)) {
      const acts = subjects?.get(subject);
      if (acts === undefined) continue;
      for (const key of act.impliedBy) {
        const other = acts.get(key);
        const itself = other?.grant === grant && place === on && subject === to && key === act.key;
        if (other === undefined || itself || other.expires < expires) continue;
        const { path, line, column } = other.at;
        const where = `on ${place} to ${subject} (${path}:${line}:${column})`;
        return { words: key.split(' [')[0] ?? key, where };
      }
    }
  }
  return undefined;
}
