import type { CatalogInfo, TableInfo } from '../catalog/model.ts';
import type { Decision, Reason } from '../kernel/decision.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { analyze, checkText } from './analyze.ts';
import type { LakeBatch, LakeSession, LakeStatement, ResultColumn } from './engine.ts';
import { governedViews } from './govern.ts';
import { placeError } from './place-error.ts';
import { redactLiterals } from './redact.ts';
import { type ResolvedTable, resolveColumns, resolveTables, schemasOf } from './resolve.ts';
import { listParameters, rewriteCatalog, typeParameters, writtenParameters } from './rewrite.ts';
import { Batch } from './rows.ts';
import { refuse } from './tree.ts';
import { refusalOn, whereOf } from './unsupported.ts';
import type { Uses } from './walk.ts';
import type { Described, GovernedViews, WorkerProcess } from './worker-process.ts';

/** What a session needs of its engine. */
export interface SessionHost {
  readonly principal: PrincipalName;
  readonly catalog: SecurableName;
  readonly asOperator: boolean;
  readonly statementTimeoutMs: number;
  /** The person's worker, for a catalog with these schemas; a new one if the old has ended. */
  worker(location: CatalogInfo, schemas: readonly string[]): Promise<WorkerProcess>;
  closed(): void;
}

/** What is kept of a statement between prepare and run. */
interface Plan {
  readonly governed: GovernedViews;
  readonly catalog: CatalogInfo;
  readonly schemas: readonly string[];
  readonly described: Described | undefined;
  /** An error of the engine, with its place in the person's text. */
  readonly placed: (thrown: unknown) => unknown;
}

const keptTexts = 500;

export class GovernedLakeSession implements LakeSession {
  readonly #host: SessionHost;
  readonly #plans = new WeakMap<LakeStatement, Plan>();
  readonly #prepared = new Map<string, LakeStatement>();
  readonly #running = new Set<(error: WritError) => void>();

  constructor(host: SessionHost) {
    this.#host = host;
  }

  async prepare(text: string, snapshot: Snapshot, types: readonly number[] = []): Promise<LakeStatement> {
    checkText(text);
    const key = JSON.stringify([snapshot.id, types, text]);
    const known = this.#prepared.get(key);
    if (known !== undefined) return known;
    const statement = await this.#prepareAnew(text, snapshot, types);
    if (this.#prepared.size >= keptTexts) this.#prepared.clear();
    this.#prepared.set(key, statement);
    return statement;
  }

  async #prepareAnew(text: string, snapshot: Snapshot, types: readonly number[]): Promise<LakeStatement> {
    const catalog = snapshot.catalog.catalogs.get(this.#host.catalog);
    if (catalog === undefined) throw new WritError('no_such_catalog');
    try {
      return await this.#prepareOn(catalog, text, snapshot, types);
    } catch (thrown) {
      throw refusalOn(whereOf(catalog), text, thrown);
    }
  }

  async #prepareOn(
    catalog: CatalogInfo,
    text: string,
    snapshot: Snapshot,
    types: readonly number[],
  ): Promise<LakeStatement> {
    const schemas = schemasOf(snapshot.catalog, this.#host.catalog);
    const worker = await this.#host.worker(catalog, schemas);
    const uses = analyze(await worker.parse(text));
    if (uses === undefined) return emptyStatement;
    const tables = resolveTables(uses, snapshot.catalog, this.#host.catalog);
    const shared = {
      command: 'SELECT' as const,
      decision: this.#decide(tables, snapshot),
      tables: [...new Set(tables.map((table) => table.info.name))],
      columns: resolveColumns(uses, tables),
      redacted: redactLiterals(text),
    };
    if (shared.decision.effect === 'deny') return { ...shared, sql: '', parameterTypes: [] };
    const infos = tables.map((table) => table.info);
    const { principal, asOperator } = this.#host;
    if (!asOperator) refuseTelltales(uses, infos, snapshot, principal);
    const governed = governedViews(infos, { snapshot, principal, catalog, asOperator });
    const sql = rewriteCatalog(text, uses, this.#host.catalog);
    const placed = (thrown: unknown) => placeError(thrown, text, uses.columns);
    const typed = await this.#typeParameters(worker, sql, governed, uses, types).catch((thrown) => {
      throw placed(thrown);
    });
    const statement = { ...shared, sql: typed.sql, parameterTypes: typed.oids };
    this.#plans.set(statement, { governed, catalog, schemas, described: typed.described, placed });
    return statement;
  }

  /** Parameters get the client's type, else what DuckDB makes of their place, else text. */
  async #typeParameters(
    worker: WorkerProcess,
    sql: string,
    governed: GovernedViews,
    uses: Uses,
    types: readonly number[],
  ): Promise<{ sql: string; oids: readonly number[]; described: Described | undefined }> {
    if (uses.parameters.length === 0) return { sql, oids: [], described: undefined };
    const written = writtenParameters(sql);
    if (uses.parameters.some((n) => !written.has(n)))
      refuse('a parameter without a number', 'write $1, $2, …');
    const given = new Map(
      types.flatMap((oid, i): [number, string][] => {
        const name = castNames.get(oid);
        return name === undefined ? [] : [[i + 1, name]];
      }),
    );
    const open: number[] = [];
    for (const [n, type] of listParameters(sql)) {
      if (type === '') open.push(n);
      given.set(n, type === '' ? 'VARCHAR[]' : type);
    }
    const first = await describeLists(worker, sql, governed, given, open);
    for (const n of uses.parameters) if ((first.parameters[n - 1] ?? 0) === 0) given.set(n, 'VARCHAR');
    const typedSql = typeParameters(sql, given);
    const described = await worker.describe(typedSql, governed);
    const count = Math.max(types.length, ...uses.parameters);
    const oids = Array.from({ length: count }, (_, i) => types[i] || described.parameters[i] || 25);
    // A cast changes a column's name; the first description has the name that the client's own text gives.
    const columns = described.columns.map((column, i) => ({
      ...column,
      name: nameOf(first, i) ?? column.name,
    }));
    return { sql: typedSql, oids, described: { ...described, columns } };
  }

  #decide(tables: readonly ResolvedTable[], snapshot: Snapshot): Decision {
    const { principal, catalog, asOperator } = this.#host;
    const because: Reason[] = [];
    for (const name of new Set(tables.map((table) => table.info.name))) {
      if (asOperator) {
        because.push({ kind: 'owner', on: catalog, owner: principal, gate: 'SELECT' });
        continue;
      }
      const decision = snapshot.decide(principal, 'SELECT', name);
      if (decision.effect === 'deny') return decision;
      because.push(...decision.because);
      const rules = snapshot.boundRules(principal, name).reasons;
      because.push(...rules.filter((rule) => !decision.because.some((one) => isSame(one, rule))));
    }
    return { effect: 'allow', because };
  }

  async describe(statement: LakeStatement): Promise<readonly ResultColumn[]> {
    const plan = this.#plans.get(statement);
    if (plan === undefined) return [];
    if (plan.described !== undefined) return plan.described.columns;
    const worker = await this.#host.worker(plan.catalog, plan.schemas);
    const described = await worker.describe(statement.sql, plan.governed).catch((thrown) => {
      throw plan.placed(thrown);
    });
    this.#plans.set(statement, { ...plan, described });
    return described.columns;
  }

  async *run(statement: LakeStatement, parameters: readonly (string | null)[]): AsyncGenerator<LakeBatch> {
    const plan = this.#plans.get(statement);
    if (plan === undefined) throw new WritError('permission_denied');
    const worker = await this.#host.worker(plan.catalog, plan.schemas);
    let stopped: WritError | undefined;
    let cancel = (): void => undefined;
    const stop = (error: WritError): void => {
      stopped ??= error;
      cancel();
    };
    this.#running.add(stop);
    const timer = setTimeout(() => stop(timedOut()), this.#host.statementTimeoutMs);
    try {
      const request = { sql: statement.sql, governed: plan.governed, parameters };
      const batches = worker.run(request, (cancelRun) => {
        cancel = cancelRun;
      });
      for await (const batch of batches) {
        if (stopped !== undefined) throw stopped;
        yield new Batch(plan.described?.columns ?? batch.columns, batch.bytes);
      }
    } catch (error) {
      throw stopped ?? plan.placed(error);
    } finally {
      clearTimeout(timer);
      this.#running.delete(stop);
    }
  }

  interrupt(): void {
    for (const stop of this.#running) stop(new WritError('cancelled'));
  }

  async close(): Promise<void> {
    this.interrupt();
    this.#prepared.clear();
    this.#host.closed();
  }
}

function refuseTelltales(
  uses: Uses,
  infos: readonly TableInfo[],
  snapshot: Snapshot,
  principal: PrincipalName,
): void {
  const [what] = uses.telltales;
  if (what === undefined) return;
  const filtered = infos.find((info) => snapshot.boundRules(principal, info.name).filters.length > 0);
  if (filtered === undefined) return;
  throw new WritError('refused_on_purpose', {
    message: `${what} cannot be used where a row filter hides rows`,
    detail: `a row filter on ${filtered.name} binds you; the engine might try the expression on hidden rows`,
  });
}

const listTypes = ['VARCHAR[]', 'BIGINT[]', 'DOUBLE[]', 'TIMESTAMPTZ[]', 'UUID[]', 'BOOLEAN[]'];
const maxTries = 40;

/** Lists of an unknown type are tried in turn; what DuckDB can compare stays in `given`. */
async function describeLists(
  worker: WorkerProcess,
  sql: string,
  governed: GovernedViews,
  given: Map<number, string>,
  open: readonly number[],
): Promise<Described> {
  const tries = Math.min(listTypes.length ** open.length, maxTries);
  for (let i = 0; i < tries - 1; i++) {
    for (const [place, n] of open.entries()) {
      given.set(n, listTypes[Math.floor(i / listTypes.length ** place) % listTypes.length] ?? 'VARCHAR[]');
    }
    try {
      return await worker.describe(typeParameters(sql, given), governed);
    } catch (error) {
      if (!(error instanceof WritError) || error.sqlstate !== '42804') throw error;
    }
  }
  return worker.describe(typeParameters(sql, given), governed);
}

const emptyStatement: LakeStatement = {
  command: 'EMPTY',
  decision: { effect: 'allow', because: [] },
  tables: [],
  columns: [],
  redacted: '',
  sql: '',
  parameterTypes: [],
};

function timedOut(): WritError {
  return new WritError('cancelled', { message: 'canceling statement due to statement timeout' });
}

function nameOf(described: Described, i: number): string | undefined {
  const name = described.columns[i]?.name;
  return name === undefined || described.columns[i]?.typeOid === 0 ? undefined : name;
}

const isSame = (a: Reason, b: Reason): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Types that a client may give to a parameter, in DuckDB's spelling; others are left to DuckDB. */
const castNames: ReadonlyMap<number, string> = new Map([
  [16, 'BOOLEAN'],
  [17, 'BLOB'],
  [20, 'BIGINT'],
  [21, 'SMALLINT'],
  [23, 'INTEGER'],
  [25, 'VARCHAR'],
  [1043, 'VARCHAR'],
  [700, 'FLOAT'],
  [701, 'DOUBLE'],
  [1082, 'DATE'],
  [1083, 'TIME'],
  [1114, 'TIMESTAMP'],
  [1184, 'TIMESTAMPTZ'],
  [1186, 'INTERVAL'],
  [2950, 'UUID'],
  [114, 'JSON'],
]);
