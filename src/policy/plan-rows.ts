import type { PrincipalName } from '../kernel/principal.ts';
import { child, type SecurableName } from '../kernel/securable-name.ts';
import type { Expression } from './expression/model.ts';
import type { Audience, ColumnMaskRule, RowFilterRule, Snapshot } from './model.ts';
import { type Alike, beneath, type Effect, type Opens, type RuleChange, says } from './plan-effects.ts';
import { groupsAsked, letsAllThrough, reveals } from './reveals.ts';

// What filters and masks change for people between two snapshots. What a relation shows somebody follows from which of
// its rules bind them and which groups that its rules ask for they were or are in: who answers these alike is told the same.

/** Asked of one class; the answer is one letter. */
type Question =
  | { readonly asks: 'binds'; readonly side: Snapshot; readonly audience: Audience }
  | { readonly asks: 'member'; readonly group: string };

/** Answers of one class by the number of the question; made as they are asked for. */
type Answers = (question: number) => string;

export class RowChanges {
  readonly #from: Snapshot;
  readonly #to: Snapshot;
  readonly #questions: Question[] = [];
  readonly #numbers = new Map<Snapshot | undefined, Map<Audience | string, number>>();
  readonly #askedOf = new Map<SecurableName, readonly number[]>();
  readonly #groups = new Map<Expression, readonly string[]>();
  /** Relation → answers to its questions → effects. */
  readonly #known = new Map<SecurableName, Map<string, readonly Effect[]>>();

  constructor(from: Snapshot, to: Snapshot) {
    this.#from = from;
    this.#to = to;
  }

  /**
   * On some relations that are decided alike, where the principal reads them before and after. One list of effects stands
   * for all whom it is the same for.
   */
  *of(
    principal: PrincipalName,
    reads: (alike: Alike) => boolean,
    places: Iterable<Alike>,
    which: 'ruled' | 'changed',
  ): Generator<{ readonly on: SecurableName; readonly effects: readonly Effect[] }> {
    const answers = this.#answers(principal);
    for (const alike of places) {
      const relations = alike[which];
      if (relations.length === 0 || !reads(alike)) continue;
      for (const on of relations) {
        const effects = this.#effects(principal, answers, on);
        if (effects.length > 0) yield { on, effects };
      }
    }
  }

  #effects(principal: PrincipalName, answers: Answers, on: SecurableName): readonly Effect[] {
    let key = '';
    for (const question of this.#questionsOf(on)) key += answers(question);
    let known = this.#known.get(on);
    if (known === undefined) {
      known = new Map();
      this.#known.set(on, known);
    }
    let effects = known.get(key);
    if (effects === undefined) {
      effects = this.#compare(principal, on);
      known.set(key, effects);
    }
    return effects;
  }

  #answers(principal: PrincipalName): Answers {
    const given: string[] = [];
    let groups: readonly ReadonlySet<string>[] | undefined;
    const answer = (question: Question | undefined): string => {
      if (question === undefined) return '';
      if (question.asks === 'binds') return question.side.binds(question.audience, principal) ? 'y' : 'n';
      groups ??= [this.#from, this.#to].map((side) => side.groupsOf(principal));
      const [was, is] = groups.map((side) => side.has(question.group));
      return was ? (is ? 'i' : '-') : is ? '+' : 'o';
    };
    return (question) => {
      given[question] ??= answer(this.#questions[question]);
      return given[question] ?? '';
    };
  }

  #questionsOf(on: SecurableName): readonly number[] {
    const known = this.#askedOf.get(on);
    if (known !== undefined) return known;
    const found = new Set<number>();
    for (const side of [this.#from, this.#to])
      for (const table of beneath(side, on)) {
        const rules = side.tableRules(table);
        for (const rule of [...(rules?.filters ?? []), ...(rules?.masks ?? [])]) {
          const { audience } = rule;
          found.add(this.#number(side, audience, () => ({ asks: 'binds', side, audience })));
          if (side === this.#to)
            for (const group of this.#groupsOf(rule.expression))
              found.add(this.#number(undefined, group, () => ({ asks: 'member', group })));
        }
      }
    const numbers = [...found];
    this.#askedOf.set(on, numbers);
    return numbers;
  }

  #number(side: Snapshot | undefined, about: Audience | string, ask: () => Question): number {
    const numbers = this.#numbers.get(side) ?? new Map<Audience | string, number>();
    this.#numbers.set(side, numbers);
    const known = numbers.get(about);
    if (known !== undefined) return known;
    numbers.set(about, this.#questions.length);
    return this.#questions.push(ask()) - 1;
  }

  #groupsOf(expression: Expression): readonly string[] {
    const known = this.#groups.get(expression) ?? [...new Set(groupsAsked(expression))];
    this.#groups.set(expression, known);
    return known;
  }

  #compare(principal: PrincipalName, on: SecurableName): readonly Effect[] {
    const before = shown(this.#from, principal, on);
    const after = shown(this.#to, principal, on);
    const wereIn: ReadonlySet<string> = this.#from.groupsOf(principal);
    const areIn: ReadonlySet<string> = this.#to.groupsOf(principal);
    const effects: Effect[] = [];
    for (const [{ on: table }, change] of changes(before.filters, after.filters, areIn))
      effects.push({ kind: 'filter', table, change });
    for (const [{ on: column }, change] of changes(before.masks, after.masks, areIn))
      effects.push({ kind: 'mask', column, change });
    const rules = [...after.filters.values(), ...after.masks.values()];
    for (const group of new Set(rules.flatMap(({ rule }) => this.#groupsOf(rule.expression)))) {
      const gained = areIn.has(group);
      if (wereIn.has(group) === gained) continue;
      const opens = rules
        .filter(({ rule }) => this.#groupsOf(rule.expression).includes(group))
        .filter(({ rule }) => hidesNothing(rule, areIn) && !hidesNothing(rule, wereIn))
        .map(({ what }) => what);
      effects.push({ kind: 'membership', group, gained, opens });
    }
    return effects;
  }
}

/** A rule and what it hides: rows of a table, values of a column. */
interface Hiding<R> {
  readonly what: Opens;
  readonly rule: R;
}

interface Shown {
  readonly filters: ReadonlyMap<string, Hiding<RowFilterRule>>;
  readonly masks: ReadonlyMap<string, Hiding<ColumnMaskRule>>;
}

function* changes<R extends RowFilterRule | ColumnMaskRule>(
  before: ReadonlyMap<string, Hiding<R>>,
  after: ReadonlyMap<string, Hiding<R>>,
  groups: ReadonlySet<string>,
): Generator<[Opens, RuleChange<R>]> {
  for (const [key, { what, rule }] of after) {
    const was = before.get(key)?.rule;
    if (was === undefined) yield [what, { is: 'added', rule }];
    else if (!says(was, rule)) yield [what, { is: 'changed', was, rule, opens: hidesNothing(rule, groups) }];
  }
  for (const [key, { what, rule }] of before) if (!after.has(key)) yield [what, { is: 'removed', rule }];
}

/** Whether a rule may show this person everything: the value, or every row. */
function hidesNothing(rule: RowFilterRule | ColumnMaskRule, groups: ReadonlySet<string>): boolean {
  const isMember = (group: string) => groups.has(group);
  if (rule.kind === 'row-filter') return letsAllThrough(rule.expression, isMember);
  const names = [...rule.bindings].filter(([, column]) => column === rule.column).map(([name]) => name);
  return reveals(rule.expression, isMember, new Set(names));
}

/** The rules that bind on a relation and on everything that it reads, keyed by table, so that a view shows its tables'. */
function shown(snapshot: Snapshot, principal: PrincipalName, on: SecurableName): Shown {
  const filters = new Map<string, Hiding<RowFilterRule>>();
  const masks = new Map<string, Hiding<ColumnMaskRule>>();
  for (const table of beneath(snapshot, on)) {
    const bound = snapshot.boundRules(principal, table);
    for (const rule of bound.filters)
      filters.set(JSON.stringify([table, rule.policy]), { what: { kind: 'table', on: table }, rule });
    for (const [name, rule] of bound.masks) {
      const column = child(table, name);
      masks.set(column, { what: { kind: 'column', on: column }, rule });
    }
  }
  return { filters, masks };
}
