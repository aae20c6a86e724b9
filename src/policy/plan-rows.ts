import type { PrincipalName } from '../kernel/principal.ts';
import { child, type SecurableName } from '../kernel/securable-name.ts';
import type { Expression } from './expression/model.ts';
import type { Audience, ColumnMaskRule, RowFilterRule, Snapshot } from './model.ts';
import { type Alike, beneath, type Effect, type RuleChange, says } from './plan-effects.ts';
import { groupsAsked } from './reveals.ts';

// What filters and masks change for people between two snapshots. What a relation shows somebody follows from which of
// its rules bind them and which groups that its rules ask for they joined or left: who answers these alike is told the same.

/** Asked of one class; the answer is one letter. */
type Question =
  | { readonly asks: 'binds'; readonly side: Snapshot; readonly audience: Audience }
  | { readonly asks: 'joined'; readonly group: string };

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
      return was === is ? '=' : is ? '+' : '-';
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
              found.add(this.#number(undefined, group, () => ({ asks: 'joined', group })));
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
    const effects: Effect[] = [];
    for (const [, change] of changes(before.filters, after.filters)) effects.push({ kind: 'filter', change });
    for (const [column, change] of changes(before.masks, after.masks))
      effects.push({ kind: 'mask', column, change });
    const rules = [...after.filters.values(), ...after.masks.values()];
    const [wereIn, areIn]: ReadonlySet<string>[] = [this.#from, this.#to].map((side) =>
      side.groupsOf(principal),
    );
    for (const group of new Set(rules.flatMap((rule) => this.#groupsOf(rule.expression)))) {
      const is = areIn?.has(group) === true;
      if (wereIn?.has(group) !== is) effects.push({ kind: 'membership', group, gained: is });
    }
    return effects;
  }
}

interface Shown {
  readonly filters: ReadonlyMap<string, RowFilterRule>;
  readonly masks: ReadonlyMap<SecurableName, ColumnMaskRule>;
}

function* changes<K, R extends RowFilterRule | ColumnMaskRule>(
  before: ReadonlyMap<K, R>,
  after: ReadonlyMap<K, R>,
): Generator<[K, RuleChange<R>]> {
  for (const [key, rule] of after) {
    const was = before.get(key);
    if (was === undefined) yield [key, { is: 'added', rule }];
    else if (!says(was, rule)) yield [key, { is: 'changed', was, rule }];
  }
  for (const [key, rule] of before) if (!after.has(key)) yield [key, { is: 'removed', rule }];
}

/** The rules that bind on a relation and on everything that it reads, keyed by table, so that a view shows its tables'. */
function shown(snapshot: Snapshot, principal: PrincipalName, on: SecurableName): Shown {
  const filters = new Map<string, RowFilterRule>();
  const masks = new Map<SecurableName, ColumnMaskRule>();
  for (const table of beneath(snapshot, on)) {
    const bound = snapshot.boundRules(principal, table);
    for (const rule of bound.filters) filters.set(`${table} ${rule.policy}`, rule);
    for (const [column, rule] of bound.masks) masks.set(child(table, column), rule);
  }
  return { filters, masks };
}
