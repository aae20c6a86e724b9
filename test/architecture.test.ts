import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

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
  const relativePath = /(?:from\s*|import\s*\(\s*|import\s+)['"](\.{1,2}\/[^'"]+)['"]/g;
  return [...file.text.matchAll(relativePath)].map((match) =>
    relative(source, resolve(source, dirname(file.path), match[1] ?? '')),
  );
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

describe('rooms', () => {
  test('every folder is a room', () => {
    expect(files.map((file) => roomOf(file.path)).filter((room) => !rooms.includes(room))).toEqual([]);
  });

  test('a file imports its own room and rooms to its left', () => {
    expect(files.flatMap(wrongImports)).toEqual([]);
  });

  test('a planted wrong import is found, static, type-only and dynamic', () => {
    const plant = (text: string) => wrongImports({ path: 'policy/x.ts', text });
    expect(plant("import { a } from '../gateway/pg/framer.ts';")).toHaveLength(1);
    expect(plant("import type { A } from '../rolesync/diff.ts';")).toHaveLength(1);
    expect(plant("const m = await import('../main.ts');")).toHaveLength(1);
    expect(plant("import { a } from '../kernel/never.ts';")).toEqual([]);
  });
});

describe('invariants', () => {
  test('only gateway, client, dev and main open listening sockets', () => {
    const listens = naming(/\bcreateServer\(|\.listen\(|\bserve\(\{/);
    expect(paths(files.filter(except('gateway/', 'client/', 'dev/', 'main')).filter(listens))).toEqual([]);
  });

  test('pure files touch no clock, no randomness, no I/O', () => {
    const pure = [
      'gateway/pg/decode.ts',
      'gateway/pg/encode.ts',
      'gateway/pg/framer.ts',
      'gateway/pg/statement.ts',
      'gateway/pg/statement/',
      'policy/compile.ts',
      'policy/plan.ts',
      'rolesync/diff.ts',
      'rolesync/guard.ts',
      'rolesync/render.ts',
      'rolesync/desired.ts',
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
    // A template or string that starts with an SQL verb and does not carry the `sql` tag.
    const bare =
      /(?<!sql|sql<[^>]*>)(?:`|['"])\s*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|GRANT|REVOKE|SET)\s+[\w"$*(]+[^`'"]*\$\{/i;
    // The worker's program stands alone (no imports from the rooms) and runs what `lake/rewrite.ts` built; describe.ts is
    // words; lake-local.ts takes the query out of a person's COPY, which is then parsed and decided like any other.
    const allowed = except(
      'kernel/sql.ts',
      'lake/worker/',
      'rolesync/describe.ts',
      'gateway/pg/lake-local.ts',
    );
    const hit = files.filter(allowed).filter((file) =>
      withoutComments(file.text)
        .split('\n')
        .some((line) => bare.test(line) && !/message|hint|detail|words|title|why|log/.test(line)),
    );
    expect(paths(hit)).toEqual([]);
    const planted = (tag: string) => `const q = ${tag}\`SELECT * FROM $\{table}\``;
    expect(bare.test(planted(''))).toBe(true);
    expect(bare.test(planted('sql'))).toBe(false);
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
