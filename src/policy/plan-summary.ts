import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { SharedEffects } from './plan.ts';
import type { Effect } from './plan-effects.ts';

// "2 people gain SELECT on 3 tables, nobody loses any; 1 column becomes masked for 3 people"

/** How many people lists have together; lists have nobody in common, so that each is looked at once. */
export class PeopleCount {
  readonly #lists = new Set<readonly PrincipalName[]>();
  #size = 0;

  add(people: readonly PrincipalName[]): void {
    if (this.#lists.has(people)) return;
    this.#lists.add(people);
    this.#size += people.length;
  }

  get size(): number {
    return this.#size;
  }
}

/** Principals and things that one kind of change touches. */
interface Tally {
  readonly people: PeopleCount;
  readonly things: Set<string>;
}

/** What a plan says in one line. */
export function summarize(all: readonly SharedEffects[]): string {
  const tallies = new Map<string, Tally>();
  for (const { principals, on, effects } of all)
    for (const effect of effects) {
      const key = keyOf(effect, on);
      const tally = tallies.get(key) ?? { people: new PeopleCount(), things: new Set() };
      tally.people.add(principals);
      tally.things.add(thingOf(effect, on));
      tallies.set(key, tally);
    }
  const clauses = [privilegeClause(tallies), ...ruleClauses(tallies)].filter((clause) => clause !== '');
  return clauses.length === 0 ? 'nobody gains or loses anything' : clauses.join('; ');
}

function keyOf(effect: Effect, on: SecurableName): string {
  if (effect.kind === 'privilege')
    return `privilege ${effect.gained ? 'gain' : 'lose'} ${effect.privilege} ${levelOf(on)}`;
  if (effect.kind === 'filter' || effect.kind === 'mask') return `${effect.kind} ${effect.change.is}`;
  return `${effect.kind} ${effect.gained ? 'gain' : 'lose'}`;
}

function thingOf(effect: Effect, on: SecurableName): string {
  return effect.kind === 'mask' ? effect.column : on;
}

function levelOf(on: SecurableName): string {
  return ['catalog', 'schema', 'table'][Math.min(on.split('.').length, 3) - 1] ?? 'table';
}

/** USE and the like follow from what people can read; they are told only where nothing else is. */
function privilegeClause(tallies: ReadonlyMap<string, Tally>): string {
  const of = (verb: 'gain' | 'lose') =>
    [...tallies]
      .filter(([key]) => key.startsWith(`privilege ${verb} `))
      .map(([key, tally]) => {
        const [, , ...words] = key.split(' ');
        const level = words.at(-1) ?? 'table';
        const what = `${words.slice(0, -1).join(' ')} on ${count(tally.things.size, level)}`;
        return { telling: level === 'table', text: `${peopleDo(tally, verb)} ${what}` };
      });
  const told = (list: ReturnType<typeof of>) => {
    const telling = list.filter((one) => one.telling);
    return (telling.length > 0 ? telling : list).map((one) => one.text);
  };
  const gains = told(of('gain'));
  const losses = told(of('lose'));
  if (gains.length === 0 && losses.length === 0) return '';
  return [
    ...(gains.length > 0 ? gains : ['nobody gains any']),
    ...(losses.length > 0 ? losses : ['nobody loses any']),
  ].join(', ');
}

function ruleClauses(tallies: ReadonlyMap<string, Tally>): readonly string[] {
  const clause = (key: string, say: (tally: Tally) => string): string => {
    const tally = tallies.get(key);
    return tally === undefined ? '' : say(tally);
  };
  const columns = (one: string, many: string) => (tally: Tally) =>
    `${count(tally.things.size, 'column')} ${tally.things.size === 1 ? one : many} for ${people(tally)}`;
  const tables = (verb: string, what: string) => (tally: Tally) =>
    `${people(tally)} ${tally.people.size === 1 ? `${verb}s` : verb} ${what} of ${count(tally.things.size, 'table')}`;
  const own = (what: string) => (tally: Tally) => `${people(tally)} ${what}`;
  return [
    clause('mask added', columns('becomes masked', 'become masked')),
    clause('mask removed', columns('is no longer masked', 'are no longer masked')),
    clause('mask changed', columns('is masked otherwise', 'are masked otherwise')),
    clause('filter added', tables('see', 'fewer rows')),
    clause('filter removed', tables('see', 'more rows')),
    clause('filter changed', tables('see', 'other rows')),
    clause('attribute gain', (tally) => `${peopleDo(tally, 'gain')} attribute values`),
    clause('attribute lose', (tally) => `${peopleDo(tally, 'lose')} attribute values`),
    clause('assume gain', own('may act as further database roles')),
    clause('assume lose', own('may no longer act as some database roles')),
    clause('membership gain', own('come under rules that ask for groups they joined')),
    clause('membership lose', own('come under rules that ask for groups they left')),
  ];
}

function people(tally: Tally): string {
  return tally.people.size === 1 ? '1 person' : `${tally.people.size} people`;
}

function peopleDo(tally: Tally, verb: 'gain' | 'lose'): string {
  return `${people(tally)} ${tally.people.size === 1 ? `${verb}s` : verb}`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
