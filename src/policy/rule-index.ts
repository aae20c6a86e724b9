import { metastore, type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import { type AccessRule, depth } from './gates.ts';
import { type Membership, type PrincipalClass, positionOf } from './membership.ts';

// All rules in flat lists of numbers, ordered by securable and subject: which rules may open a gate for somebody is found
// by meeting two ascending lists, whatever the number of rules elsewhere.

/** An anchor is a securable that rules name (or the metastore), by its number. Its parent is the next one above. */
export class RuleIndex {
  readonly #rules: readonly AccessRule[];
  readonly #membership: Membership;
  readonly #anchors = new Map<SecurableName, number>([[metastore, 0]]);
  readonly #parents: readonly number[];
  readonly #depths: readonly number[];
  /** Named people follow the groups. */
  readonly #people = new Map<string, number>();
  /** Rules of anchor a stand from `#starts[a]` to before `#starts[a + 1]`. */
  readonly #starts: Int32Array;
  readonly #subjects: Int32Array;
  readonly #order: Int32Array;

  constructor(rules: readonly AccessRule[], membership: Membership) {
    this.#rules = rules;
    this.#membership = membership;
    const on = Int32Array.from(rules, (rule) => this.#number(rule.on));
    const subject = Int32Array.from(rules, (rule) => this.#subject(rule.subject));
    const names = [...this.#anchors.keys()];
    this.#depths = names.map(depth);
    this.#parents = names.map((name) => (name === metastore ? -1 : this.anchorOf(parentOf(name))));
    const bySubject = countingSort(
      subject,
      Int32Array.from(rules.keys()),
      membership.groupCount + this.#people.size,
    );
    const sorted = countingSort(on, bySubject.order, names.length);
    this.#order = sorted.order;
    this.#starts = sorted.starts;
    this.#subjects = sorted.order.map((rule) => subject[rule] ?? 0);
  }

  #number(on: SecurableName): number {
    const known = this.#anchors.get(on) ?? this.#anchors.size;
    if (known === this.#anchors.size) this.#anchors.set(on, known);
    return known;
  }

  #subject(subject: string): number {
    const group = this.#membership.groupId(subject);
    if (group !== undefined) return group;
    const known = this.#people.get(subject) ?? this.#membership.groupCount + this.#people.size;
    this.#people.set(subject, known);
    return known;
  }

  /** The nearest anchor, itself or above: below it all securables of one depth are decided alike. */
  anchorOf(on: SecurableName): number {
    const own = this.#anchors.get(on);
    if (own !== undefined) return own;
    for (const name of withAncestors(on)) {
      const found = this.#anchors.get(name);
      if (found !== undefined) return found;
    }
    return 0;
  }

  depthOf(anchor: number): number {
    return this.#depths[anchor] ?? 0;
  }

  /**
   * The first rule that passes, of those on the anchor and above it whose subject the class is or is in: nearest first;
   * what names the person itself before groups, these by name.
   */
  find<Found>(
    who: PrincipalClass,
    anchor: number,
    passes: (rule: AccessRule, ruleDepth: number) => Found | undefined,
  ): Found | undefined {
    const person = who.name === undefined ? undefined : this.#people.get(who.name);
    for (let at = anchor; at >= 0; at = this.#parents[at] ?? -1) {
      const ruleDepth = this.#depths[at] ?? 0;
      const found =
        (person === undefined ? undefined : this.#ofSubject(at, person, ruleDepth, passes)) ??
        this.#ofGroups(at, who.groupIds, ruleDepth, passes);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #ofSubject<Found>(
    at: number,
    subject: number,
    ruleDepth: number,
    passes: (rule: AccessRule, ruleDepth: number) => Found | undefined,
  ): Found | undefined {
    const [start, end] = [this.#starts[at] ?? 0, this.#starts[at + 1] ?? 0];
    const first = positionOf(this.#subjects, subject, start, end);
    return first < 0 ? undefined : this.#run(first, end, ruleDepth, passes);
  }

  /** Two ascending lists: from the shorter one each number is looked up in what is left of the longer one. */
  #ofGroups<Found>(
    at: number,
    groups: Int32Array,
    ruleDepth: number,
    passes: (rule: AccessRule, ruleDepth: number) => Found | undefined,
  ): Found | undefined {
    const [start, end] = [this.#starts[at] ?? 0, this.#starts[at + 1] ?? 0];
    const byGroup = groups.length <= end - start;
    for (let i = byGroup ? 0 : start, low = byGroup ? start : 0; i < (byGroup ? groups.length : end); i++) {
      const position = byGroup
        ? atLeast(this.#subjects, groups[i] ?? 0, low, end)
        : atLeast(groups, this.#subjects[i] ?? 0, low, groups.length);
      low = position;
      const rule = byGroup ? position : i;
      const group = byGroup ? i : position;
      if (rule >= end || group >= groups.length) return undefined;
      if (this.#subjects[rule] !== groups[group]) continue;
      const found = byGroup ? this.#run(rule, end, ruleDepth, passes) : this.#one(rule, ruleDepth, passes);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** All rules of the subject that stands at a position. */
  #run<Found>(
    first: number,
    end: number,
    ruleDepth: number,
    passes: (rule: AccessRule, ruleDepth: number) => Found | undefined,
  ): Found | undefined {
    const subject = this.#subjects[first];
    for (let i = first; i < end && this.#subjects[i] === subject; i++) {
      const found = this.#one(i, ruleDepth, passes);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #one<Found>(
    i: number,
    ruleDepth: number,
    passes: (rule: AccessRule, ruleDepth: number) => Found | undefined,
  ): Found | undefined {
    const rule = this.#rules[this.#order[i] ?? -1];
    return rule === undefined ? undefined : passes(rule, ruleDepth);
  }
}

function parentOf(name: SecurableName): SecurableName {
  return withAncestors(name)[1] ?? metastore;
}

/** Galloping: steps double from where the last search ended, so that near neighbours are found at once. */
function atLeast(list: Int32Array, wanted: number, from: number, end: number): number {
  let [low, step] = [from, 1];
  while (low + step < end && (list[low + step] ?? 0) < wanted) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, end);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Stable. `order`: the numbers of rules in the order they had; `starts`: where each key's rules begin, and the end. */
function countingSort(
  keys: Int32Array,
  before: Int32Array,
  count: number,
): { readonly order: Int32Array; readonly starts: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (const key of keys) starts[key + 1] = (starts[key + 1] ?? 0) + 1;
  for (let i = 0; i < count; i++) starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0);
  const next = starts.slice();
  const order = new Int32Array(before.length);
  for (const rule of before) {
    const key = keys[rule] ?? 0;
    const position = next[key] ?? 0;
    order[position] = rule;
    next[key] = position + 1;
  }
  return { order, starts };
}
