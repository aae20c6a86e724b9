import fc from 'fast-check';
import { parseSync } from 'libpg-query';
import { describe, expect, test } from 'vitest';
import { ana, etl, govern, loadParser, nina, sam, steward, writer } from './sample.ts';

loadParser();

// Whatever is put together from these, nothing is sent that names another relation than those that were decided.

const expressions = [
  ...[
    '1',
    "'x'",
    'id',
    'c.id',
    'public.customers.email',
    'shop.public.orders.id',
    'count(*)',
    '(c).email',
    'null::text',
  ],
  ...[
    'region_total(1)',
    'public.customer_email(1)',
    "set_config('role','x',true)",
    'exists (select 1 from orders)',
  ],
  ...[
    '(select max(id) from only public.orders)',
    'array(table countries)',
    'case when id = 1 then 2 end',
    '$1',
  ],
  ...["lower('x')", 'row(1, c)', "('x'::text).ts_stat", 'id = any (select id from "customers")', 'o.*', '*'],
];
const items = [
  ...[
    'customers c',
    'public.orders o',
    'shop.public.customers',
    '"Mixed Case" m',
    'countries',
    'events',
    'pg_class',
  ],
  ...[
    'customer_orders',
    '(select * from customers) c',
    'lateral (select 1 from orders) l',
    'unnest(array[1]) c(id)',
  ],
  ...[
    'customers c join orders o using (id)',
    'only (orders)',
    'writ_public.customers',
    'pg_authid',
    'events_2026_01',
  ],
  ...[
    'nowhere',
    'lake.sales.orders_history',
    '(customers c cross join (orders o cross join countries k))',
    'x',
    'w',
  ],
];
const tails = [
  '',
  ' where id = 1',
  ' for update',
  ' order by 1',
  ' limit 1',
  ' group by id',
  ' union table orders',
];
const withs = [
  '',
  '',
  'with x as (table customers) ',
  'with recursive customers as (select 1 union select 1 from customers) ',
];

const select = fc
  .tuple(
    fc.constantFrom(...withs),
    fc.array(fc.constantFrom(...expressions), { minLength: 1, maxLength: 3 }),
    fc.array(fc.constantFrom(...items), { minLength: 1, maxLength: 3 }),
    fc.constantFrom(...tails),
  )
  .map(([w, e, f, t]) => `${w}select ${e.join(', ')} from ${f.join(', ')}${t}`);

const wraps = [
  (q: string) => q,
  (q: string) => `copy (${q}) to stdout`,
  (q: string) => `explain ${q}`,
  (q: string) => `prepare p as ${q}`,
  (q: string) => `declare d cursor for ${q}`,
  (q: string) => `insert into orders (id) ${q}`,
  (q: string) => `update orders set id = (${q})`,
  (q: string) => `with w as (${q}) delete from public.orders using w`,
  (q: string) => `merge into orders o using (${q}) s on true when matched then delete`,
  (q: string) => `select 1; ${q}`,
];

const allowed =
  /^(writ_public|writ_public_clear|writ_public_insert|public|app|pg_catalog|information_schema)$/;
const governedNames = new Set(['customers', 'orders', 'customer_orders', 'customer_orders_daily']);

interface Relation {
  readonly schema: string | undefined;
  readonly name: string;
}

/** Every relation that the text names, and every name that a WITH gives; found by looking at all fields. */
function namesIn(text: string): { relations: Relation[]; ctes: Set<string> } {
  const relations: Relation[] = [];
  const ctes = new Set<string>();
  JSON.stringify(parseSync(text), (key, value) => {
    if (key === 'lockedRels') return undefined;
    if (typeof value?.relname === 'string') relations.push({ schema: value.schemaname, name: value.relname });
    if (typeof value?.ctename === 'string') ctes.add(value.ctename);
    return value;
  });
  return { relations, ctes };
}

describe('whatever is sent', () => {
  test('names allowed relations only, and no governed table by itself to those whom rules bind', () => {
    const everyone = fc.constantFrom(ana, writer, sam, steward, etl, nina);
    fc.assert(
      fc.property(select, fc.constantFrom(...wraps), everyone, (query, wrap, principal) => {
        const governed = govern(wrap(query), principal);
        if (governed.refusal !== undefined) {
          expect(governed.text).toBe('');
          expect(governed.refusal.code).not.toBe('internal');
          return;
        }
        const { relations, ctes } = namesIn(governed.text);
        const bound = principal === ana || principal === writer;
        for (const { schema, name } of relations) {
          const fits = schema === undefined ? ctes.has(name) : allowed.test(schema);
          expect(fits, `${schema}.${name} in ${governed.text}`).toBe(true);
          if (bound && governedNames.has(name) && schema !== undefined)
            expect(schema, governed.text).toMatch(/^(writ_public|writ_public_insert|app)$/);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('rubbish is answered, never thrown', () => {
    const words = fc.constantFrom(
      ...expressions,
      ...items,
      ...tails,
      'select',
      'from',
      '(',
      ')',
      ',',
      ';',
      "'",
      '"',
      '$$',
      '/*',
      '--',
      'é',
      '\u0000',
      '\ud800',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string({ unit: 'binary' })), { maxLength: 12 }), (parts) => {
        const governed = govern(parts.join(' '), ana);
        expect(governed.refusal?.code).not.toBe('internal');
        for (let i = 0; i < 5; i++) governed.mapPosition(i);
      }),
      { numRuns: 3_000 },
    );
    expect(govern('select 1').refusal).toBeUndefined();
  });
});
