import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ana, govern, loadParser, outcome } from './sample.ts';

loadParser();

// Queries with random WITH clauses, printed twice: as the client writes them, and as a straightforward reading of
// Postgres' visibility rules says that they must be sent.

interface Query {
  readonly recursive: boolean;
  readonly ctes: readonly { readonly name: string; readonly query: Query }[];
  readonly from: readonly Item[];
  readonly where: Query | undefined;
  readonly union: Query | undefined;
}

type Item = { readonly table: string; readonly schema: boolean } | { readonly subquery: Query };

const names = fc.constantFrom('customers', 'orders', 'countries', 'events');

const item = (depth: number): fc.Arbitrary<Item> => {
  const named = fc.record({ table: names, schema: fc.boolean() });
  return depth <= 0 ? named : fc.oneof(named, fc.record({ subquery: query(depth - 1) }));
};

const query: fc.Memo<Query> = fc.memo((depth) =>
  fc.record({
    recursive: fc.boolean(),
    ctes:
      depth <= 1
        ? fc.constant([])
        : fc.uniqueArray(fc.record({ name: names, query: query(depth - 1) }), {
            maxLength: 2,
            selector: (cte) => cte.name,
          }),
    from: fc.array(item(depth - 1), { minLength: 1, maxLength: 2 }),
    where: depth <= 1 ? fc.constant(undefined) : fc.option(query(depth - 1), { nil: undefined }),
    union: depth <= 1 ? fc.constant(undefined) : fc.option(query(depth - 1), { nil: undefined }),
  }),
);

type Visible = ReadonlySet<string>;

const sent: Record<string, string> = {
  customers: '"writ_public"."customers"',
  orders: '"writ_public"."orders"',
  countries: '"public"."countries"',
  events: '"public"."events"',
};

/** @param outer names of common table expressions in sight; undefined: print what the client writes */
function print(one: Query, outer: Visible | undefined): string {
  const all = new Set([...(outer ?? []), ...one.ctes.map((cte) => cte.name)]);
  let sofar: Visible | undefined = outer;
  const ctes = one.ctes.map((cte) => {
    const text = `${cte.name} as (${print(cte.query, outer && (one.recursive ? all : sofar))})`;
    sofar = sofar && new Set([...sofar, cte.name]);
    return text;
  });
  const inside = outer && all;
  const withClause = ctes.length === 0 ? '' : `with ${one.recursive ? 'recursive ' : ''}${ctes.join(', ')} `;
  const from = one.from.map((item, i) => `${printItem(item, inside)} f${i}`).join(', ');
  const where = one.where === undefined ? '' : ` where exists (${print(one.where, inside)})`;
  const union = one.union === undefined ? '' : ` union all (${print(one.union, inside)})`;
  return `${withClause}select 1 from ${from}${where}${union}`;
}

function printItem(item: Item, visible: Visible | undefined): string {
  if ('subquery' in item) return `(${print(item.subquery, visible)})`;
  const written = item.schema ? `public.${item.table}` : item.table;
  if (visible === undefined || (!item.schema && visible.has(item.table))) return written;
  if (item.schema && sent[item.table]?.startsWith('"public"')) return written;
  return sent[item.table] ?? '';
}

describe('common table expressions', () => {
  test('hide tables exactly where Postgres lets them', () => {
    fc.assert(
      fc.property(query(5), (one) => {
        expect(outcome(govern(print(one, undefined), ana))).toBe(print(one, new Set()));
      }),
      { numRuns: 300 },
    );
  });

  const g = '"writ_public"."customers"';
  test.each([
    [
      'with customers as (select 1) select * from customers',
      'with customers as (select 1) select * from customers',
    ],
    [
      'with customers as (select * from customers) select 1 from customers',
      `with customers as (select * from ${g}) select 1 from customers`,
    ],
    [
      'with recursive customers as (select 1 union select * from customers) select 1',
      'with recursive customers as (select 1 union select * from customers) select 1',
    ],
    [
      'with customers as (select 1) select * from public.customers',
      `with customers as (select 1) select * from ${g}`,
    ],
    [
      'with a as (select * from customers), customers as (select 1) select * from a',
      `with a as (select * from ${g}), customers as (select 1) select * from a`,
    ],
    [
      'select (with customers as (select 1) select 1 from customers), (select 1 from customers)',
      `select (with customers as (select 1) select 1 from customers), (select 1 from ${g})`,
    ],
    [
      '(with customers as (select 1) select 1 from customers) union select 1 from customers',
      `(with customers as (select 1) select 1 from customers) union select 1 from ${g}`,
    ],
    [
      'with "Customers" as (select 1) select 1 from customers',
      `with "Customers" as (select 1) select 1 from ${g}`,
    ],
  ])('%s', (text, expected) => expect(outcome(govern(text))).toBe(expected));
});
