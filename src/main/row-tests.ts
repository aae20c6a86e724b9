import { loadModule } from 'libpg-query';
import pg from 'pg';
import type { CatalogSnapshot } from '../catalog/model.ts';
import { catalogOfQuery, directQuery, isOrdered } from '../fleet/direct-query.ts';
import { formatDecision } from '../kernel/decision.ts';
import { toWritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { formatSecurableName, lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { sameRows } from '../policy/compare-rows.ts';
import type { TestEntry } from '../policy/document.ts';
import type { Snapshot } from '../policy/model.ts';
import type { EngineAnswer, TestResult } from '../policy/run-tests.ts';
import type { Scratch } from './scratch.ts';

// Query tests, run as the person: through the gateway, and in Postgres once more with a direct credential, the gateway
// out of the way. Whatever a query writes is rolled back.

export interface RowTestContext {
  readonly scratch: Scratch;
  /** What is in force in the scratch. */
  readonly snapshot: Snapshot;
  readonly catalog: CatalogSnapshot;
  /** Where a query that names no catalog runs. */
  readonly usual: SecurableName | undefined;
}

/** In the order of the tests; those that are no queries are left out. */
export async function runRowTests(
  context: RowTestContext,
  tests: readonly TestEntry[],
  { stopAtFailure = false }: { readonly stopAtFailure?: boolean } = {},
): Promise<readonly TestResult[]> {
  await loadModule();
  const sessions = new Sessions(context);
  try {
    const results: TestResult[] = [];
    for (const test of tests) {
      if (test.check.kind !== 'rows') continue;
      results.push(await runOne(context, sessions, test));
      if (stopAtFailure && results.at(-1)?.ok === false) break;
    }
    return results;
  } finally {
    await sessions.close();
  }
}

async function runOne(context: RowTestContext, sessions: Sessions, test: TestEntry): Promise<TestResult> {
  const { at, as, check } = test;
  if (check.kind !== 'rows') throw new Error('decision tests run on no engine');
  const query = check.query.value;
  const catalog = catalogFor(context, query);
  const ordered = orderedOr(query);
  const judged = (answer: Asked): EngineAnswer => ({
    ...answer,
    ok: answer.error === undefined && sameRows(check.rows, answer.rows, ordered),
  });
  const answers =
    catalog === undefined ? [] : (await askAll(context, sessions, as.value, catalog, query)).map(judged);
  const problems =
    catalog === undefined
      ? ['the query names no catalog; write catalog.schema.table']
      : answers.filter(({ ok }) => !ok).map(({ engine, error }) => `${engine}: ${error ?? 'other rows'}`);
  const ok = answers.length > 0 && problems.length === 0;
  const reasons = ok ? [] : tablesIn(query, context).flatMap((table) => reasonsFor(context, as.value, table));
  return {
    at,
    as: as.value,
    what: query,
    ok,
    problems: [...problems, ...reasons],
    expected: check.rows,
    answers,
  };
}

/** What the policy says of a table to this person: why they see what they see. */
function reasonsFor(
  { snapshot }: RowTestContext,
  as: PrincipalName,
  table: SecurableName,
): readonly string[] {
  const decision = snapshot.decide(as, 'SELECT', table);
  const bound = decision.effect === 'allow' ? snapshot.boundRules(as, table).reasons : [];
  const because = [...decision.because, ...bound];
  return [`${table}: ${formatDecision({ ...decision, because })}`];
}

/** Relations that the text names, and what they read. */
function tablesIn(query: string, { catalog }: RowTestContext): readonly SecurableName[] {
  const words = new Set(query.toLowerCase().split(/[^\p{L}\p{N}_$]+/u));
  const named = new Set([...catalog.tables.keys()].filter((name) => words.has(lastPart(name).toLowerCase())));
  for (const name of named) for (const read of catalog.tables.get(name)?.reads ?? []) named.add(read);
  return [...named].slice(0, 5);
}

type Asked = Omit<EngineAnswer, 'ok'>;

async function askAll(
  context: RowTestContext,
  sessions: Sessions,
  as: PrincipalName,
  catalog: SecurableName,
  query: string,
): Promise<readonly Asked[]> {
  const kind = context.catalog.catalogs.get(catalog)?.kind;
  if (kind !== 'POSTGRES') {
    return [await ask('DuckDB, gateway', () => sessions.gateway(as, catalog), query, false)];
  }
  return Promise.all([
    ask('Postgres, gateway', () => sessions.gateway(as, catalog), query, true),
    ask(
      'Postgres, direct',
      () => sessions.direct(as, catalog),
      () => directQuery(context.snapshot, as, catalog, query),
      true,
    ),
  ]);
}

async function ask(
  engine: string,
  open: () => Promise<pg.Client>,
  query: string | (() => string),
  rollBack: boolean,
): Promise<Asked> {
  try {
    const client = await open();
    const text = typeof query === 'string' ? query : query();
    if (rollBack) await client.query('begin');
    try {
      const result = await client.query<(string | null)[]>({ text, rowMode: 'array', types: asText });
      return { engine, rows: result.rows };
    } finally {
      if (rollBack) await client.query('rollback');
    }
  } catch (thrown) {
    return { engine, rows: [], error: wordsOf(thrown) };
  }
}

/** Every value as the engine prints it. */
const asText = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;

function wordsOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { message, detail } = thrown as Error & { readonly detail?: string };
  return typeof detail === 'string' && detail !== ''
    ? `${message} (${detail})`
    : message || toWritError(thrown).message;
}

/** One connection for each person, catalog and door, opened when first asked for. */
class Sessions {
  readonly #context: RowTestContext;
  readonly #open = new Map<string, Promise<pg.Client>>();

  constructor(context: RowTestContext) {
    this.#context = context;
  }

  gateway(as: PrincipalName, catalog: SecurableName): Promise<pg.Client> {
    const { scratch } = this.#context;
    return this.#kept(`gateway ${catalog} ${as}`, async () => ({
      host: '127.0.0.1',
      port: scratch.pgPort,
      database: catalog,
      user: as,
      password: await scratch.token(as),
    }));
  }

  direct(as: PrincipalName, catalog: SecurableName): Promise<pg.Client> {
    const { scratch } = this.#context;
    return this.#kept(`direct ${catalog} ${as}`, async () => {
      const made = await scratch.call<
        Required<Pick<pg.ClientConfig, 'host' | 'port' | 'database' | 'user' | 'password'>>
      >(as, 'POST', '/api/v1/credentials', { catalog, direct: true });
      const { host, port, database, user, password } = made;
      return { host, port, database, user, password };
    });
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    for (const one of opened) if (one.status === 'fulfilled') await one.value.end().catch(() => undefined);
  }

  #kept(key: string, config: () => Promise<pg.ClientConfig>): Promise<pg.Client> {
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const opening = config().then(async (settings) => {
      const client = new pg.Client({ ...settings, query_timeout: 60_000 });
      client.on('error', () => undefined); // what ends a session is seen by the statement that fails
      await client.connect();
      return client;
    });
    this.#open.set(key, opening);
    return opening;
  }
}

function catalogFor({ catalog, usual }: RowTestContext, query: string): SecurableName | undefined {
  try {
    return catalogOfQuery(query) ?? usual;
  } catch {
    // Not Postgres's grammar: a lake's query, mostly. The catalog is the first name that is one.
    const named = [...catalog.catalogs.keys()].find((name) => query.includes(`${name}.`));
    return named ?? usual;
  }
}

function orderedOr(query: string): boolean {
  try {
    return isOrdered(query);
  } catch {
    return /\border\s+by\b/i.test(query);
  }
}

/** The catalog of the first test table: where queries without whole names run. */
export function usualCatalog(tables: readonly SecurableName[]): SecurableName | undefined {
  const [first] = tables;
  return first === undefined ? undefined : formatSecurableName(nameParts(first).slice(0, 1));
}
