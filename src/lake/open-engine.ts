import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CatalogInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { TokenKey } from '../kernel/token-key.ts';
import type { LakeEngine, LakeSession } from './engine.ts';
import { databaseName } from './govern.ts';
import { GovernedLakeSession } from './session.ts';
import { defaultWorkerLimits, type WorkerLimits, WorkerPool } from './worker-pool.ts';
import type { LockConfig, WorkerProcess } from './worker-process.ts';

export interface LakeEngineOptions {
  readonly limits?: Partial<WorkerLimits>;
  /** Milliseconds that one statement may run. */
  readonly statementTimeoutMs?: number;
  /** What masks with token() are made with; absent: no statement reads them. */
  readonly tokenKey?: TokenKey | undefined;
  /** What `select version()` says. */
  readonly version?: string;
}

/** Opens the engine; the first spare worker starts at once. */
export function openLakeEngine(options: LakeEngineOptions = {}): GovernedLakeEngine {
  return new GovernedLakeEngine(options);
}

export class GovernedLakeEngine implements LakeEngine {
  readonly #options: LakeEngineOptions;
  readonly #pool: WorkerPool;

  constructor(options: LakeEngineOptions) {
    this.#options = options;
    this.#pool = new WorkerPool({ ...defaultWorkerLimits, ...options.limits });
  }

  async open(
    catalog: SecurableName,
    principal: PrincipalName,
    { asOperator = false }: { readonly asOperator?: boolean } = {},
  ): Promise<LakeSession> {
    const entered = new Set<string>();
    return new GovernedLakeSession({
      principal,
      catalog,
      asOperator,
      statementTimeoutMs: this.#options.statementTimeoutMs ?? 300_000,
      worker: async (info, schemas) => {
        if (asOperator && info.kind !== 'SYSTEM') throw new WritError('permission_denied');
        const key = JSON.stringify([principal, asOperator, info.name, info.location, schemas]);
        const worker = await this.#worker(key, principal, info, schemas);
        if (!entered.has(key)) {
          entered.add(key);
          this.#pool.enter(key);
        }
        return worker;
      },
      closed: () => {
        for (const key of entered) this.#pool.leave(key);
        entered.clear();
      },
    });
  }

  /** Process ids of the workers and spares. */
  workerPids(): readonly number[] {
    return this.#pool.pids();
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #worker(
    key: string,
    principal: PrincipalName,
    info: CatalogInfo,
    schemas: readonly string[],
  ): Promise<WorkerProcess> {
    if (info.location === undefined || info.kind === 'POSTGRES') {
      throw new WritError('unreachable', { message: `the catalog ${info.name} is no lake catalog` });
    }
    const who = {
      current_user: principal,
      session_user: principal,
      user: principal,
      current_role: principal,
    };
    return this.#pool.worker(key, {
      directories: directoriesOf(info.location),
      database: databaseName(info.name),
      schemas,
      tokenKey: hexBlocks(this.#options.tokenKey),
      answers: {
        ...who,
        current_database: info.name,
        current_catalog: info.name,
        current_schema: schemas[0] ?? 'main',
        version: this.#options.version ?? 'PostgreSQL 18.0 (Writ lake on DuckDB)',
      },
    });
  }
}

function hexBlocks(key: TokenKey | undefined): LockConfig['tokenKey'] {
  if (key === undefined) return undefined;
  const { inner, outer } = key.blocks();
  return { inner: inner.toString('hex'), outer: outer.toString('hex') };
}

/** The place as configured and as it really is: DuckDB compares paths after resolving links. */
function directoriesOf(location: string): readonly string[] {
  try {
    return [...new Set([resolve(location), realpathSync(location)])];
  } catch (cause) {
    throw new WritError('unreachable', { message: "the catalog's location cannot be read", cause });
  }
}
