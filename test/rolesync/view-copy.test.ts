import { loadModule } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CopyContext, copyView } from '../../src/rolesync/view-copy.ts';

beforeAll(() => loadModule());

const context: CopyContext = {
  relation: (schema, name) => {
    if (name.startsWith('hidden')) return { kind: 'refuse', because: `it reads ${name}` };
    return name.startsWith('plain') ? { kind: 'keep' } : { kind: 'replace', schema: `writ_${schema}`, name };
  },
  refuseFunction: (schema, name) => (name === 'definer' ? `it calls ${schema}.${name}` : undefined),
  isAggregate: (name) => name === 'my_sum',
};
const copied = (definition: string) => {
  const result = copyView(definition, context);
  return result.kind === 'copied' ? result.body : result;
};

describe('relations', () => {
  test.each([
    ['a table', 'SELECT id FROM public.t;', 'SELECT id FROM "writ_public"."t"'],
    ['column references by its name', 'SELECT t.id FROM public.t', 'SELECT t.id FROM "writ_public"."t"'],
    ['an alias', 'SELECT x.id FROM public.t x(id, b)', 'SELECT x.id FROM "writ_public"."t" x(id, b)'],
    ['ONLY', 'SELECT id FROM ONLY public.t', 'SELECT id FROM ONLY "writ_public"."t"'],
    [
      'two of a name',
      'SELECT 1 FROM a.t JOIN b.t t_1 ON true',
      'SELECT 1 FROM "writ_a"."t" JOIN "writ_b"."t" t_1 ON true',
    ],
    ['quoted names', 'SELECT 1 FROM "S p"."T""x"', 'SELECT 1 FROM "writ_S p"."T""x"'],
    [
      'after characters of several bytes',
      `SELECT 'é€😀' AS "ü" FROM public.t WHERE 'ö' <> 'x'`,
      `SELECT 'é€😀' AS "ü" FROM "writ_public"."t" WHERE 'ö' <> 'x'`,
    ],
    [
      'one that stays',
      'SELECT 1 FROM public.plain, public.t',
      'SELECT 1 FROM public.plain, "writ_public"."t"',
    ],
    [
      'in a subquery',
      'SELECT (SELECT max(b) FROM public.t) FROM public.plain',
      'SELECT (SELECT max(b) FROM "writ_public"."t") FROM public.plain',
    ],
    [
      'in EXISTS',
      'SELECT 1 FROM public.plain WHERE EXISTS (SELECT 1 FROM public.t)',
      'SELECT 1 FROM public.plain WHERE EXISTS (SELECT 1 FROM "writ_public"."t")',
    ],
    [
      'in a set operation',
      'SELECT 1 FROM public.t UNION ALL SELECT 2 FROM public.u',
      'SELECT 1 FROM "writ_public"."t" UNION ALL SELECT 2 FROM "writ_public"."u"',
    ],
    [
      'in a common table expression',
      'WITH c AS (SELECT 1 FROM public.t) SELECT 1 FROM c',
      'WITH c AS (SELECT 1 FROM "writ_public"."t") SELECT 1 FROM c',
    ],
    [
      'in LATERAL',
      'SELECT 1 FROM public.t, LATERAL ( SELECT 2 FROM public.u) x',
      'SELECT 1 FROM "writ_public"."t", LATERAL ( SELECT 2 FROM "writ_public"."u") x',
    ],
  ])('%s', (_what, definition, body) => {
    expect(copied(definition)).toBe(body);
  });
});

describe('refused', () => {
  test.each([
    ['a relation that may not be read', 'SELECT 1 FROM public.hidden_one', 'it reads hidden_one'],
    ['a system relation', 'SELECT 1 FROM pg_stats', 'it reads the system relation pg_stats'],
    [
      'a system relation hidden by a name',
      'WITH pg_stats AS (SELECT 1) SELECT 1 FROM pg_stats',
      'it names a common table expression pg_stats',
    ],
    ['a definer function', 'SELECT public.definer(1) FROM public.t', 'it calls public.definer'],
    [
      'a function that runs SQL text',
      `SELECT query_to_xml('select 1', true, false, '') FROM public.t`,
      'it calls query_to_xml, which runs SQL text',
    ],
    ['what cannot be parsed', 'SELECT FROM WHERE', 'its text cannot be parsed'],
  ])('%s', (_what, definition, because) => {
    expect(copied(definition)).toEqual({ kind: 'refused', because });
  });
});

describe('GROUP BY a key', () => {
  test.each([
    [
      'columns that follow from it are added',
      'SELECT t.id, t.name, count(u.x) FROM public.t JOIN public.u ON true GROUP BY t.id',
      'GROUP BY t.id, "t"."name"',
    ],
    [
      'not those inside aggregates, windows apart',
      'SELECT t.id, sum(t.amount), my_sum(t.a), string_agg(t.b, $$,$$) FILTER (WHERE t.c) FROM public.t GROUP BY t.id',
      'GROUP BY t.id',
    ],
    [
      'not those of other tables',
      'SELECT t.id, max(u.x) FROM public.t, public.u GROUP BY t.id',
      'GROUP BY t.id',
    ],
    [
      'HAVING and ORDER BY count',
      'SELECT t.id FROM public.t GROUP BY t.id HAVING t.name <> $$x$$ ORDER BY t.rank',
      'GROUP BY t.id, "t"."name", "t"."rank"',
    ],
    [
      'nothing is added twice',
      'SELECT t.id, t.name, t.name AS again FROM public.t GROUP BY t.id, t.name',
      'GROUP BY t.id, t.name',
    ],
  ])('%s', (_what, definition, clause) => {
    const body = copied(definition);
    expect(typeof body === 'string' ? /GROUP BY [^;]*?(?= HAVING| ORDER|$)/.exec(body)?.[0] : body).toBe(
      clause.split(' HAVING')[0],
    );
  });
});

test('functions that readers need are named', () => {
  const result = copyView('SELECT app.shape(t.id), lower(t.name) FROM public.t', context);
  expect(result).toMatchObject({ kind: 'copied', functions: [{ schema: 'app', name: 'shape' }] });
});

test.each([
  ['brackets', `SELECT ${'('.repeat(100_000)}1${')'.repeat(100_000)}`],
  ['set operations', `SELECT 1${' UNION ALL SELECT 1'.repeat(40_000)}`],
  ['over 1 MiB', `SELECT '${'x'.repeat(1_100_000)}'`],
])('a text that could break the parser never reaches it: %s', (_, definition) => {
  expect(copied(definition)).toEqual({
    kind: 'refused',
    because: 'its text is too long or nested too deeply',
  });
  expect(copied('SELECT id FROM public.t')).toBe('SELECT id FROM "writ_public"."t"');
});
