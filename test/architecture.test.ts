import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { literalsOf } from './literals.ts';

// ARCHITECTURE.md's invariants that can be read off the text. Each rule is tried on a planted mistake too.

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'src');
const rooms = [
  'kernel',
  'config',
  'audit',
  'catalog',
  'policy',
  'fleet',
  'rolesync',
  'lake',
  'gateway',
  'client',
  'cli',
  'console',
  'dev',
  'main',
];

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const files: SourceFile[] = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => ({ path: relative(source, path), text: readFileSync(path, 'utf8') }));

const roomOf = (path: string) => (path === 'main.ts' ? 'main' : (path.split(sep)[0] ?? ''));

/** Static, type-only, dynamic imports and `new URL('./x', import.meta.url)`: every relative path that a file names. */
function importsOf(file: SourceFile): string[] {
  const imported = /(?:from\s*|import\s*\(\s*|import\s+)['"](\.{1,2}\/[^'"]+)['"]/g;
  const located = /new URL\(\s*['"`](\.{1,2}\/[^'"`]+)['"`]\s*,\s*import\.meta\.url/g;
  const targets = (pattern: RegExp) =>
    [...file.text.matchAll(pattern)].map((match) =>
      relative(source, resolve(source, dirname(file.path), match[1] ?? '')),
    );
  // A URL that leaves src/ names data beside the program (the policy folder), no code.
  return [...targets(imported), ...targets(located).filter((target) => !target.startsWith('..'))];
}

function wrongImports(file: SourceFile): string[] {
  const own = rooms.indexOf(roomOf(file.path));
  return importsOf(file)
    .filter((target) => rooms.indexOf(roomOf(target)) > own || !rooms.includes(roomOf(target)))
    .map((target) => `${file.path} → ${target}`);
}

const except =
  (...allowed: string[]) =>
  (file: SourceFile) =>
    !allowed.some((path) => file.path.startsWith(path));
const naming = (pattern: RegExp) => (file: SourceFile) => pattern.test(withoutComments(file.text));
const withoutComments = (text: string) =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
const paths = (list: SourceFile[]) => list.map((file) => file.path);

const sqlVerb =
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:select|insert\s+into|update|delete\s+from|merge\s+into|truncate|create|alter|drop|grant|revoke|reassign|comment\s+on|security\s+label|set|reset|show|copy|call|do|with|lock|begin|declare|fetch|prepare|execute|deallocate|explain|listen|notify|refresh|vacuum|analyze|attach|detach|install|load|pragma|values|table)\s/i;

/** Untagged texts that begin as SQL does and are put together with something: their first line. */
const bareSql = (text: string): string[] =>
  literalsOf(text)
    .filter(({ sql, interpolated, joined }) => !sql && (interpolated || joined))
    .filter((literal) => sqlVerb.test(literal.text))
    .map((literal) => literal.text.trim().split('\n')[0] ?? '');

/** What `bareSql` finds and is allowed, each with its reason. A beginning of `path: text`. */
const notSql: readonly string[] = [
  // Words for people: a hint, a refusal, a plan in words.
  'dev/home.ts: set WRIT_HOME to another folder',
  'dev/ports.ts: set $',
  'rolesync/describe.ts: ',
  'gateway/pg/lake-local.ts: COPY option $',
  'gateway/pg/statement/copy.ts: COPY FROM is refused on',
  'gateway/pg/statement/nested.ts: EXECUTE of a prepared',
  // Command tags of the wire protocol.
  'gateway/pg/lake-portal.ts: SELECT $',
  'gateway/pg/lake-portal.ts: COPY $',
  // The query inside a person's COPY, taken out of it; it is parsed and decided like any other.
  'gateway/pg/lake-local.ts: select * from $',
  'gateway/pg/lake-local.ts: select $',
  // The worker's program imports nothing from the rooms: it quotes for itself, and runs what lake/rewrite.ts built.
  'lake/worker/locked.mjs: ',
  'lake/worker/parameters.mjs: select try_cast(',
  'lake/worker/worker.mjs: drop view if exists $',
  'lake/worker/worker.mjs: create or replace view $',
];

describe('rooms', () => {
  test('every folder is a room', () => {
    expect(files.map((file) => roomOf(file.path)).filter((room) => !rooms.includes(room))).toEqual([]);
  });

  test('a file imports its own room and rooms to its left', () => {
    expect(files.flatMap(wrongImports)).toEqual([]);
  });

  test('a planted wrong import is found, static, type-only, dynamic and by URL', () => {
    const plant = (text: string) => wrongImports({ path: 'policy/x.ts', text });
    expect(plant("import { a } from '../gateway/pg/framer.ts';")).toHaveLength(1);
    expect(plant("import type { A } from '../rolesync/diff.ts';")).toHaveLength(1);
    expect(plant("const m = await import('../main.ts');")).toHaveLength(1);
    expect(plant("new Worker(new URL('../lake/worker/worker.mjs', import.meta.url));")).toHaveLength(1);
    expect(plant("readFileSync(new URL(\n  '../main/a.sql',\n  import.meta.url,\n))")).toHaveLength(1);
    expect(plant("import { a } from '../kernel/never.ts';")).toEqual([]);
    expect(plant("new URL('./a.sql', import.meta.url)")).toEqual([]);
  });
});

describe('invariants', () => {
  test('only gateway, client, dev and main open listening sockets', () => {
    const listens = naming(/\bcreateServer\(|\.listen\(|\bserve\(\{/);
    expect(paths(files.filter(except('gateway/', 'client/', 'dev/', 'main')).filter(listens))).toEqual([]);
  });

  test('pure files touch no clock, no randomness, no I/O', () => {
    const pure = [
      'kernel/sql-lexer.ts',
      'kernel/sql-complexity.ts',
      'gateway/pg/decode.ts',
      'gateway/pg/encode.ts',
      'gateway/pg/framer.ts',
      'gateway/pg/statement.ts',
      'gateway/pg/statement/',
      'policy/compile.ts',
      'policy/decide.ts',
      'policy/invariant',
      'policy/imagined.ts',
      'policy/reveals.ts',
      'policy/run-tests.ts',
      'policy/compare-rows.ts',
      'policy/plan.ts',
      'policy/trino/',
      'policy/source/trust.ts',
      'policy/source/changes.ts',
      'policy/source/scope.ts',
      'policy/source/git-log.ts',
      'rolesync/diff',
      'rolesync/guard.ts',
      'rolesync/render.ts',
      'rolesync/desired.ts',
      'rolesync/desired-views.ts',
      'rolesync/shadow-view.ts',
      'audit/chain.ts',
      'audit/redact.ts',
      'fleet/reach.ts',
    ];
    const impure = naming(
      /Date\.now\(|new Date\(\)|Math\.random|randomBytes|randomUUID|node:(fs|net|tls|http|child_process)|performance\.now/,
    );
    const hit = files.filter((file) => pure.some((path) => file.path.startsWith(path))).filter(impure);
    expect(paths(hit)).toEqual([]);
    for (const path of pure)
      expect(
        files.some((file) => file.path.startsWith(path)),
        path,
      ).toBe(true);
  });

  test('SQL text is made from .sql files and kernel/sql.ts only', () => {
    expect(
      files.flatMap(({ path, text }) =>
        bareSql(text)
          .map((found) => `${path}: ${found}`)
          .filter((found) => !notSql.some((known) => found.startsWith(known))),
      ),
    ).toEqual([]);
  });

  test('the reader of literals keeps step with every file: no `sql` template escapes it', () => {
    const count = ({ text }: SourceFile) => withoutComments(text).match(/(?<![\w$.])sql`/g)?.length ?? 0;
    const seen = ({ text }: SourceFile) => literalsOf(text).filter(({ sql }) => sql).length;
    expect(paths(files.filter((file) => count(file) !== seen(file)))).toEqual([]);
  });

  test('no exception to the rule on SQL text has outlived its reason', () => {
    const found = files.flatMap(({ path, text }) => bareSql(text).map((each) => `${path}: ${each}`));
    expect(notSql.filter((known) => !found.some((each) => each.startsWith(known)))).toEqual([]);
  });

  /** `#{x}` for an interpolation, which no linter takes for a forgotten template. */
  const planted = (text: string) => text.replaceAll('#{', '$' + '{');

  test.each([
    ['in a call', 'query(`alter role #{login} nologin`)'],
    ['over lines', 'const q = `\n  SELECT *\n  FROM #{table}\n`;'],
    ['interpolated lines below the verb', 'run(`with x as (\n  select 1\n)\nselect * from #{table}`)'],
    ['joined', "client.query('drop table ' + x)"],
    ['joined over lines', 'query(\n  "delete from t where id = "\n    + id)'],
    ['on a line with the word catalog', 'catalog.query(`create role #{x}`)'],
    ['beside a harmless word', 'this.catalog.query(`update #{table} set why = 1`); // login, hint, message'],
    ['with another tag', 'query(String.raw`grant #{role} to x`)'],
    ['inside what another template interpolates', 'sql`#{trustedSql(`revoke #{a} from b`)}`'],
    ['behind a pattern with quotes', "text.replace(/['\"`]/g, ''); query(`truncate #{table}`)"],
    ['behind a comment of SQL', 'query(`/* x */ -- y\n drop schema #{name}`)'],
    ['a setting', 'query(`set local role #{role}`)'],
  ])('planted SQL text is found: %s', (_, text) => {
    expect(bareSql(planted(text))).toHaveLength(1);
  });

  test.each([
    ['tagged', 'query(sql`select * from #{table}`)'],
    ['tagged over lines', 'const q = sql`\n  alter role #{login}\n  nologin`;'],
    ['constant', "query('select 1'); query(`select\n2`)"],
    ['in a comment', '// query(`drop table #{x}`)\n/* `drop table #{x}` */'],
    ['words', 'throw new Error(`the role #{name} cannot be dropped`)'],
  ])('what is no bare SQL text passes: %s', (_, text) => {
    expect(bareSql(planted(text))).toEqual([]);
  });

  test('process.env is read in config only', () => {
    expect(paths(files.filter(except('config/')).filter(naming(/process\.env\b/)))).toEqual([]);
  });

  test('no module-level mutable variable', () => {
    // guardian.ts holds the text of another program.
    const mutable = files
      .filter((file) => file.path.endsWith('.ts') && file.path !== 'dev/guardian.ts')
      .filter((file) => /^(?:export )?let /m.test(file.text));
    expect(paths(mutable)).toEqual([]);
  });

  test('no `any`, no enum, no default export, no TODO', () => {
    const shape = naming(/:\s*any\b|\bas any\b|^\s*(?:export )?(?:const )?enum |export default/m);
    expect(paths(files.filter((file) => file.path.endsWith('.ts')).filter(shape))).toEqual([]);
    expect(
      paths(files.filter((file) => /\b(TODO|FIXME|XXX)\b/.test(file.text.replaceAll("'XX000'", '')))),
    ).toEqual([]);
  });

  test('files stay under 500 lines', () => {
    expect(paths(files.filter((file) => file.text.split('\n').length > 500))).toEqual([]);
  });
});
