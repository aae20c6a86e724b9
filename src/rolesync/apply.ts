import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo } from '../catalog/model.ts';
import type { AdminConnection, Row } from '../fleet/cluster.ts';
import { isTransient } from '../fleet/postgres-errors.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import { integer, join, literal, qualified, type Sql, sql, textArray } from '../kernel/sql.ts';
import type { TokenKey } from '../kernel/token-key.ts';
import type { PlanOperation } from './plan-operation.ts';
import { putTokenKey, render, renderViewRecord } from './render.ts';

// Does a plan: narrowing at once and in one transaction, then what it needs, then views one by one with a short lock
// timeout (nobody queues behind our DDL), then widening in one transaction, then cleaning up. Every statement is recorded.

export interface ApplyContext {
  readonly connection: AdminConnection;
  readonly cluster: string;
  readonly tokenKey?: TokenKey | undefined;
  readonly catalog: CatalogInfo;
  readonly audit: AuditLog;
  readonly version: number;
  readonly policyVersion?: string;
}

export async function applyOperations(
  context: ApplyContext,
  operations: readonly PlanOperation[],
): Promise<void> {
  if (operations.length === 0) return;
  const runner = new Runner(context);
  const of = (phase: PlanOperation['phase']) => operations.filter((operation) => operation.phase === phase);
  await runner.together(of('narrow'));
  await runner.together(of('prepare'));
  for (const operation of of('views')) await runner.view(operation);
  await runner.together(of('widen'));
  for (const operation of of('clean-up')) await runner.cleanUp(operation);
}

const ddlAttempts = 40;
/** From here on a view that cannot be replaced is closed while we go on trying. */
const closeAfter = 3;

/** Raised inside the transaction so that it rolls back. */
class Obstacle extends Error {}

class Runner {
  private readonly context: ApplyContext;

  constructor(context: ApplyContext) {
    this.context = context;
  }

  /** All or nothing; tried again when another session changed the same catalog rows. */
  async together(operations: readonly PlanOperation[]): Promise<void> {
    if (operations.length === 0) return;
    await this.retried(async () => {
      for (const operation of operations)
        for (const statement of render(operation, this.context.version)) await this.run(statement);
    });
  }

  async view(operation: PlanOperation): Promise<void> {
    if (operation.op !== 'make-view')
      return this.retried(() => this.runAll(render(operation, this.context.version)));
    try {
      await this.retried(
        async () => {
          await this.runAll(render(operation, this.context.version));
          await this.run(renderViewRecord(operation, 'made', null));
          await this.check(operation);
        },
        () => this.close(operation),
      );
    } catch (thrown) {
      await this.withdraw(operation, thrown);
    }
  }

  /** DROP ROLE fails while another database still holds a grant to it; its own apply will bring it to an end. */
  async cleanUp(operation: PlanOperation): Promise<void> {
    try {
      await this.together([operation]);
    } catch (thrown) {
      if (!(operation.op === 'drop-role' && toWritError(thrown).sqlstate === '2BP01')) throw thrown;
    }
  }

  /** The table may have changed since it was looked at: a view must not stand over another one. */
  private async check(operation: Extract<PlanOperation, { op: 'make-view' }>): Promise<void> {
    const { view } = operation;
    const columns = textArray(view.columns.map((column) => column.name));
    const rows = await this.context.connection.query<{ obstacle: string | null } & Row>(sql`
      select coalesce(writ.view_obstacle(v), case when ${view.body === null ? sql`writ.view_columns(v)::text[] is distinct from ${columns}` : sql`false`}
        then 'its columns changed' end) as obstacle
      from writ.compiled_view v where v.view_schema = ${literal(view.schema)} and v.view_name = ${literal(view.name)}`);
    const obstacle = rows[0]?.obstacle;
    if (typeof obstacle === 'string') throw new Obstacle(obstacle);
  }

  /** A replacement that cannot get its lock may be a narrowing: nobody reads the old view meanwhile. REVOKE waits for nothing. */
  private async close(operation: Extract<PlanOperation, { op: 'make-view' }>): Promise<void> {
    if (operation.how === 'create' || operation.grants.length === 0) return;
    const name = qualified(operation.view.schema, operation.view.name);
    const rows = await this.context.connection.query<{ grantee: string } & Row>(sql`
      select distinct pg_get_userbyid(a.grantee)::text as grantee from pg_class c, aclexplode(c.relacl) a
      where c.oid = to_regclass(${literal(name.text)}) and a.grantee <> c.relowner and a.grantee <> 0`);
    if (rows.length === 0) return;
    const grantees = join(rows.map((row) => qualified(row.grantee)));
    await this.context.connection.transaction(() => this.run(sql`revoke all on ${name} from ${grantees}`));
  }

  /** What Postgres does not take as a view, or what must not stand now, is kept with its reason; nothing is granted on it. */
  private async withdraw(
    operation: Extract<PlanOperation, { op: 'make-view' }>,
    thrown: unknown,
  ): Promise<void> {
    const error = toWritError(thrown);
    const isCopy = operation.view.body !== null;
    if (!(thrown instanceof Obstacle) && !(isCopy && !isTransient(thrown) && error.code !== 'unreachable'))
      throw thrown;
    const state = thrown instanceof Obstacle ? 'withdrawn' : 'refused';
    const reason = thrown instanceof Obstacle ? thrown.message : error.message;
    await this.retried(async () => {
      await this.run(
        sql`drop view if exists ${qualified(operation.view.schema, operation.view.name)} cascade`,
      );
      await this.run(renderViewRecord(operation, 'refused', reason));
      if (state === 'withdrawn') {
        await this.run(
          sql`update writ.compiled_view set state = 'withdrawn' where view_schema = ${literal(operation.view.schema)} and view_name = ${literal(operation.view.name)}`,
        );
      }
    });
  }

  private async runAll(statements: readonly Sql[]): Promise<void> {
    for (const statement of statements) await this.run(statement);
  }

  /** One transaction with a lock timeout of 100 ms; again with a growing pause while others hold what it needs. */
  private async retried(work: () => Promise<void>, beforeRetry?: () => Promise<void>): Promise<void> {
    const { connection } = this.context;
    for (let attempt = 1; ; attempt++) {
      try {
        return await connection.transaction(async () => {
          await connection.query(sql`set local lock_timeout = '100ms'; set local writ.rebuilding = 'on'`);
          await work();
        });
      } catch (thrown) {
        if (!isTransient(thrown) || attempt === ddlAttempts) throw thrown;
        if (attempt === closeAfter) await beforeRetry?.();
        await new Promise((done) => setTimeout(done, Math.min(20 * attempt, 500)));
      }
    }
  }

  /** Beside the text, which is recorded. */
  private parametersOf(statement: Sql): readonly Buffer[] | undefined {
    if (statement !== putTokenKey) return undefined;
    const { tokenKey } = this.context;
    if (tokenKey === undefined) throw new WritError('internal', { message: 'there is no key of token()' });
    const { inner, outer } = tokenKey.blocks();
    return [inner, outer];
  }

  /** Runs and records one statement. A warning that means "nothing was granted or revoked" is an error. */
  private async run(statement: Sql): Promise<void> {
    const { connection, audit, cluster, catalog, policyVersion } = this.context;
    const seen = connection.notices.length;
    const started = performance.now();
    const event = {
      kind: 'sync.operation',
      cluster,
      catalog: catalog.name,
      statement: statement.text,
      ...(policyVersion === undefined ? {} : { policyVersion }),
    } as const;
    try {
      await connection.query(statement, this.parametersOf(statement));
      const warning = connection.notices
        .slice(seen)
        .find((notice) => notice.code === '01006' || notice.code === '01007');
      if (warning !== undefined) {
        throw new WritError('permission_denied', {
          message: `nothing was granted: ${warning.message}`,
          detail: statement.text,
          hint: 'the administrative login lacks the right to grant this',
        });
      }
      audit.append({ ...event, durationMs: performance.now() - started });
    } catch (thrown) {
      const error = toWritError(thrown);
      audit.append({
        ...event,
        durationMs: performance.now() - started,
        sqlstate: error.sqlstate,
        message: error.message,
      });
      throw thrown;
    }
  }
}

/** Waits up to `patienceMs` for the lock of this database; held by the session until `unlock`. @throws conflict when busy */
export async function lockDatabase(connection: AdminConnection, patienceMs = 15_000): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const rows = await connection.query<{ got: boolean } & Row>(
      sql`select pg_try_advisory_lock(${integer(lockKey)}) as got`,
    );
    if (rows[0]?.got === true) return;
    await endPeopleOnLock(connection);
    if (performance.now() > until)
      throw new WritError('conflict', {
        message: 'another reconciler is at work in this database',
        hint: 'try again in a moment',
      });
    await new Promise((done) => setTimeout(done, 50));
  }
}

/**
 * Anybody who may connect can take an advisory lock, and whoever holds ours would hold up every narrowing. No login of a
 * person has business with it: the sessions that hold it, or wait for it, are ended.
 */
async function endPeopleOnLock(connection: AdminConnection): Promise<void> {
  await connection.query(
    sql`select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory' and l.classid = 0 and l.objid = ${integer(lockKey)}::oid and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
        and a.usename ~ '^writ_l_'`,
  );
}

export async function unlockDatabase(connection: AdminConnection): Promise<void> {
  await connection.query(sql`select pg_advisory_unlock(${integer(lockKey)})`);
}

/** 'writ' in ASCII. */
const lockKey = 0x77726974;
