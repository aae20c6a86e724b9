import type { CatalogSnapshot } from '../catalog/model.ts';
import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Assumption } from './assumption.ts';
import type { InvariantEntry, PolicyDocuments } from './document.ts';
import { type Findings, formatPeople } from './findings.ts';
import type { AccessRule } from './gates.ts';
import { type Bits, findSomebody, isThereSomebody, Lens, type Somebody } from './imagined.ts';
import { GateRules, type Question, questionsOf } from './invariant-questions.ts';
import { because, whoIs } from './invariant-words.ts';
import type { Membership } from './membership.ts';
import type { Snapshot, TableRules } from './model.ts';
import type { Tags } from './tags.ts';

// Invariants, proven: for everything in the catalog that an invariant speaks of, no person, existing or imaginable,
// breaks it. Whoever exists plays no part in the proof, so a sign-in or a grant that expires cannot break it. Pure.

export interface ProofParts {
  readonly documents: PolicyDocuments;
  readonly catalog: CatalogSnapshot;
  readonly tags: Tags;
  /** As the files say it, without what anybody claims. */
  readonly membership: Membership;
  readonly tables: ReadonlyMap<SecurableName, TableRules>;
  readonly access: readonly AccessRule[];
  readonly assumptions: readonly Assumption[];
  /** Only to name people who exist in a counterexample. */
  readonly snapshot: Snapshot;
}

/** Somebody who breaks an invariant. */
export interface Counterexample {
  /** The column, table or securable that it is broken on. */
  readonly on: SecurableName;
  /** The relation that is read: the table, or a view over it. */
  readonly through: SecurableName;
  /** `anyone in analysts`, `ana@acme.test`. */
  readonly who: string;
  /** Principals known today to whom it applies, sorted. */
  readonly people: readonly PrincipalName[];
  /** Why nothing holds them: `no mask is on it`. */
  readonly why: string;
  /** How they get there: the rule behind each gate, or the role that they act as. */
  readonly path: readonly string[];
}

export interface InvariantResult {
  readonly invariant: InvariantEntry;
  /** `columns tagged pii (3 columns, 2 tables) unmasked only for stewards` */
  readonly words: string;
  readonly holds: boolean;
  /** Nothing in the catalog is what it speaks of. */
  readonly idle: boolean;
  /** One for each way of being broken, at most `mostShown`; `more` counts the rest. */
  readonly counterexamples: readonly Counterexample[];
  readonly more: number;
}

const mostShown = 5;

export function proveInvariants(parts: ProofParts): readonly InvariantResult[] {
  const { documents } = parts;
  if (documents.invariants.length === 0) return [];
  const rules = new GateRules(parts.access);
  const groups = new Set<string>(documents.groups.map((group) => group.name.value));
  return documents.invariants.map((invariant) => prove(invariant, parts, rules, groups));
}

function prove(
  invariant: InvariantEntry,
  parts: ProofParts,
  rules: GateRules,
  groups: ReadonlySet<string>,
): InvariantResult {
  const { words, idle, questions } = questionsOf(invariant, parts, rules);
  const lenses = new Map<string, Lens>();
  const lensOf = ({ names }: Question) => {
    const key = JSON.stringify(names);
    const lens = lenses.get(key) ?? new Lens(parts.membership, groups, names);
    lenses.set(key, lens);
    return lens;
  };
  const counterexamples: Counterexample[] = [];
  let more = 0;
  for (const question of questions) {
    const found = answer(question, parts, lensOf(question));
    if (found === undefined) continue;
    if (counterexamples.length < mostShown) counterexamples.push(found());
    else more++;
  }
  return { invariant, words, holds: counterexamples.length === 0, idle, counterexamples, more };
}

/** Undefined: proven. Else a counterexample, made when it is shown. */
function answer(question: Question, parts: ProofParts, lens: Lens): (() => Counterexample) | undefined {
  const only = lens.mask(question.only);
  const allowed = (bits: Bits) => (bits & only) !== 0n;
  const { on, through } = question;
  if (question.kind === 'assume') {
    const { to, role } = question;
    if (allowed(lens.of(to))) return undefined;
    const people = lens.isGroup(to)
      ? existing(
          parts,
          (person) => parts.snapshot.groupsOf(person).has(to) && !allowed(today(parts, lens, person)),
        )
      : [to];
    const who = lens.isGroup(to) ? whoIs(undefined, [to]) : to;
    const path = [`may act as ${role} of ${through}`];
    return () => ({ on, through, who, people, why: 'outside filters and masks', path });
  }
  const test = question.breaks(lens);
  const broken = (bits: Bits) => !allowed(bits) && test(bits) !== undefined;
  if (!isThereSomebody(lens, question.gates, allowed, broken)) return undefined;
  return () => {
    const somebody = findSomebody(lens, question.gates, allowed, broken) ?? nobody;
    const bits = somebody.groups.reduce((all, group) => all | lens.of(group), lens.of(somebody.name));
    const { privilege } = question;
    const people = existing(
      parts,
      (person) =>
        broken(today(parts, lens, person)) &&
        parts.snapshot.decide(person, privilege, through).effect === 'allow',
    );
    return { on, through, people, why: test(bits) ?? '', ...pathOf(somebody) };
  };
}

const nobody: Somebody = { name: undefined, groups: [], opened: [] };

function pathOf(somebody: Somebody): Pick<Counterexample, 'who' | 'path'> {
  return { who: whoIs(somebody.name, somebody.groups), path: [...new Set(somebody.opened.map(because))] };
}

/** Bits of somebody who exists, with what they claim. */
function today({ snapshot }: ProofParts, lens: Lens, person: PrincipalName): Bits {
  const groups = snapshot.groupsOf(person);
  return lens.mask(lens.names.filter((name) => name === person || groups.has(name as GroupName)));
}

function existing(
  { snapshot }: ProofParts,
  applies: (person: PrincipalName) => boolean,
): readonly PrincipalName[] {
  return [...snapshot.principals].filter(applies).sort();
}

/** What keeps a policy from compiling: each broken invariant once for each of its counterexamples shown. */
export function reportInvariants(results: readonly InvariantResult[], findings: Findings): void {
  for (const { invariant, words, idle, counterexamples, more } of results) {
    if (idle)
      findings.warning(
        'idle-invariant',
        invariant.at,
        `the invariant is about nothing: there are no ${words}`,
      );
    for (const [i, one] of counterexamples.entries()) {
      const rest = i + 1 === counterexamples.length && more > 0 ? `; and ${more} more` : '';
      const message = `does not hold: ${words}: ${formatCounterexample(one)}${rest}`;
      findings.error('invariant', invariant.at, message, one.path.join('; '));
    }
  }
}

/** `anyone in loaders (now etl) reaches shop.public.customers.email: no mask is on it` */
export function formatCounterexample({ who, people, on, through, why }: Counterexample): string {
  const others = people.filter((name) => name !== who);
  const now = others.length === 0 ? '' : ` (now ${formatPeople(others)})`;
  const by = on === through || on.startsWith(`${through}.`) ? '' : ` through ${through}`;
  return `${who}${now} reaches ${on}${by}: ${why}`;
}
