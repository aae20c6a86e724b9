import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Actor, actingAs } from '../audit/acting.ts';
import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo, CatalogSnapshot } from '../catalog/model.ts';
import type { CatalogStore, PolicyInForce, PolicySource } from '../catalog/store.ts';
import type { Cluster } from '../fleet/cluster.ts';
import type { Clock } from '../kernel/clock.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import { operatorName, type PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Finding, PolicyFile, PolicyPlan, Snapshot } from '../policy/model.ts';
import { planPolicy } from '../policy/plan.ts';
import type { ClusterLabels } from '../policy/rules.ts';
import { type Acceptance, type GuardSettings, guardWidened, limitsOf } from './guard.ts';
import { type Brought, compileInputs, inputsNow, keep, lintInputs, type Occasion } from './kept.ts';
import type { LastGoodCatalog } from './last-good-catalog.ts';
import { applyCluster, type ClusterPlan, planCluster } from './reconcile.ts';
import { SignInClaims } from './sign-in-claims.ts';

// The policy in force: which snapshot everybody decides by, and how the next one comes. One apply at a time; listeners
// (the doors) hear of each change after the clusters obey it.

export interface PolicyChange {
  readonly from: Snapshot | undefined;
  readonly to: Snapshot;
  readonly plan: PolicyPlan;
}

/** One catalog of kind POSTGRES in the plan; `error` where the cluster could not be asked or did not obey. */
export interface CatalogPlan {
  readonly cluster: string;
  readonly catalog: SecurableName;
  readonly plan: ClusterPlan | undefined;
  readonly error: WritError | undefined;
}

export interface FullPlan {
  readonly policy: PolicyPlan;
  readonly catalogs: readonly CatalogPlan[];
  readonly files: readonly PolicyFile[];
  /** Binds a saved plan to the policy in force, the new policy and what was seen in every cluster. */
  readonly digest: string;
  readonly pending: boolean;
  /** Why an apply would be refused unless it is accepted. */
  readonly guard: WritError | undefined;
}

/** Everything absent: the policy folder as it is now. */
export interface ApplyRequest {
  readonly files?: readonly PolicyFile[] | undefined;
  /** The saved plan's: what it saw must still be so. */
  readonly digest?: string | undefined;
  /** The commit that the files were read from. */
  readonly source?: PolicySource | undefined;
  /** What a guard would refuse, in exactly the number that was seen. */
  readonly accept?: Acceptance | undefined;
}

export interface Applied extends FullPlan {
  readonly change: PolicyChange;
}

export interface PolicyInForceOptions {
  readonly store: CatalogStore;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly lastGood: LastGoodCatalog;
  /** Reads the policy folder. */
  readonly loadFiles: () => Promise<readonly PolicyFile[]>;
  /** Of the clusters, for `clusters:` in the files. */
  readonly labels?: ClusterLabels | undefined;
  readonly guards?: GuardSettings | undefined;
}

export interface InForce {
  current(): Snapshot;
  /** What guards of this instance allow. */
  readonly limits: GuardSettings | undefined;
  lint(files?: readonly PolicyFile[]): Promise<readonly Finding[]>;
  /** @throws invalid_policy when the files do not compile. */
  plan(files?: readonly PolicyFile[]): Promise<FullPlan>;
  /**
   * @throws conflict when `digest` is given and anything differs from what the plan saw; guard_refused for more than
   * one apply may take away or widen
   */
  apply(actor: Actor, request?: ApplyRequest): Promise<Applied>;
  /** What `refresh` would bring into force, against this catalog; nothing changes. @throws invalid_policy */
  preview(catalog: CatalogSnapshot): Promise<Snapshot>;
  /**
   * The same files against the catalog as it is now (discovery, a new principal, an expired grant).
   * @returns what was done per catalog, nothing when nobody's snapshot changes @throws invalid_policy, and all stays
   */
  refresh(why: string, actor?: Actor): Promise<readonly CatalogPlan[]>;
  /** Makes sure that a principal who just signed in has roles wherever policy lets them in. */
  ensurePrincipal(principal: PrincipalName): Promise<void>;
  /**
   * Brings the groups of a sign-in into force, if they are the latest (`issuedAt`: the token's, in seconds) and change
   * anything; when it returns, sessions that lost by it have ended. `undefined`: the token's issuer claims no groups.
   * @throws too_many for one who gains groups again and again
   */
  claimGroups(
    principal: PrincipalName,
    groups: readonly string[] | undefined,
    issuedAt: number,
  ): Promise<void>;
  /** A promise that the listener returns is waited for where somebody's next session could be hit. */
  onChange(listener: (change: PolicyChange) => void | Promise<void>): void;
  close(): void;
}

/** How long a change that narrows waits for slow clusters before the doors obey it (ms). */
const patienceMs = 500;

/** What the instance does by itself: discovery, expiry, a first sign-in. */
const ownInitiative: Actor = { principal: operatorName, credential: 'instance' };

/**
 * Compiles what was last in force, or, on the first start, the folder's files. Where an application changed its tables
 * so that the policy in force no longer compiles, the catalog as it was before is used: `unfit` says why.
 * @throws invalid_policy with every finding, when there is nothing to go on with
 */
export async function openInForce(
  options: PolicyInForceOptions,
): Promise<InForce & { readonly first: boolean; readonly unfit: WritError | undefined }> {
  const kept = options.store.policyInForce();
  const files = kept?.files ?? (await options.loadFiles());
  const opened = await compileOrThrow(options, files).then(
    (brought) => ({ brought, unfit: undefined }),
    async (thrown: unknown) => {
      const before = kept === undefined ? undefined : options.lastGood.read();
      const { brought } =
        before === undefined ? { brought: undefined } : await compileWith(options, files, before);
      if (brought === undefined) throw thrown;
      return { brought, unfit: toWritError(thrown) };
    },
  );
  const inForce = new OneInForce(options, opened.brought.snapshot);
  if (kept !== undefined) keepAtStart(options, opened.brought, kept);
  inForce.armExpiry();
  return Object.assign(inForce, { first: kept === undefined, unfit: opened.unfit });
}

/** What happened while nothing ran (an expiry, other tables) is of this moment. */
function keepAtStart(
  { store, clock }: PolicyInForceOptions,
  brought: Brought,
  { source }: PolicyInForce,
): void {
  if (store.keptAt()?.snapshot === brought.snapshot.id) return;
  keep(store, brought, { at: clock.now(), by: operatorName, why: 'start', source });
}

class OneInForce implements InForce {
  private readonly options: PolicyInForceOptions;
  private snapshot: Snapshot;
  private readonly listeners: ((change: PolicyChange) => void | Promise<void>)[] = [];
  /** What listeners still do about the last change. */
  private settling: Promise<unknown> = Promise.resolve();
  private last: Promise<unknown> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;

  private readonly claims: SignInClaims;
  readonly limits: GuardSettings | undefined;

  constructor(options: PolicyInForceOptions, snapshot: Snapshot) {
    this.options = options;
    this.claims = new SignInClaims({
      store: options.store,
      clock: options.clock,
      current: () => this.snapshot,
      refresh: async (why, needed) => {
        await this.refresh(why, ownInitiative, this.inForceCatalog, needed);
      },
    });
    this.limits = options.guards;
    this.snapshot = snapshot;
  }

  current(): Snapshot {
    return this.snapshot;
  }

  onChange(listener: (change: PolicyChange) => void | Promise<void>): void {
    this.listeners.push(listener);
  }

  async lint(files?: readonly PolicyFile[]): Promise<readonly Finding[]> {
    const { store, clock, loadFiles, labels } = this.options;
    const texts = files ?? (await loadFiles());
    return lintInputs(inputsNow(store, labels, texts, store.snapshot()), clock.now());
  }

  async plan(files?: readonly PolicyFile[]): Promise<FullPlan> {
    const texts = files ?? (await this.options.loadFiles());
    return this.planTo((await compileOrThrow(this.options, texts)).snapshot, texts);
  }

  apply(actor: Actor, { files, digest, source, accept }: ApplyRequest = {}): Promise<Applied> {
    return this.alone(async () => {
      const texts = files ?? (await this.options.loadFiles());
      this.claims.begins();
      const brought = await compileOrThrow(this.options, texts);
      const next = brought.snapshot;
      const planned = await this.planTo(next, texts);
      if (digest !== undefined && digest !== planned.digest) {
        throw new WritError('conflict', {
          message: 'the plan is out of date',
          detail: 'the policy in force, the files or a cluster changed since it was made',
          hint: 'plan again and look at what is different',
        });
      }
      // A guard that one cluster's part trips stops all of it; a cluster that is away does not.
      const guarded = planned.catalogs.find((each) => each.error?.code === 'guard_refused');
      if (guarded?.error !== undefined) throw guarded.error;
      guardWidened(planned.policy.widened, accept, limitsOf(this.limits).maxWidened);
      // On record and kept before it is acted on: a restart in the middle goes on from the new policy.
      this.recordApply(actor, next.id, planned.policy.summary, source);
      const at = this.options.clock.now();
      this.options.store.putPolicy({
        snapshot: next.id,
        appliedAt: at,
        appliedBy: actor.principal,
        files: texts,
        ...(source === undefined ? {} : { source }),
      });
      const occasion = { at, by: actor.principal, why: 'policy apply', source };
      return this.bringIntoForce(brought, occasion, planned, actor);
    });
  }

  private readonly inForceCatalog = (): CatalogSnapshot => this.snapshot.catalog;

  async preview(catalog: CatalogSnapshot): Promise<Snapshot> {
    return (await this.recompile(catalog)).snapshot;
  }

  refresh(
    why: string,
    actor: Actor = ownInitiative,
    catalog: () => CatalogSnapshot = () => this.options.store.snapshot(),
    needed: () => boolean = () => true,
  ): Promise<readonly CatalogPlan[]> {
    return this.alone(async () => {
      if (!needed()) return [];
      this.claims.begins();
      const brought = await this.recompile(catalog());
      const next = brought.snapshot;
      this.armExpiry();
      if (next.id === this.snapshot.id && samePrincipals(next, this.snapshot)) return [];
      const planned = await this.planTo(next, this.snapshot.files);
      this.recordApply(actor, next.id, `${why}: ${planned.policy.summary}`);
      // The commit that the files came from is still what they came from.
      const { source } = this.options.store.keptAt() ?? {};
      const occasion = { at: this.options.clock.now(), by: actor.principal, why, source };
      const { catalogs } = await this.bringIntoForce(brought, occasion, planned, actor);
      return catalogs;
    });
  }

  private async recompile(catalog: CatalogSnapshot): Promise<Brought> {
    const { brought, findings } = await compileWith(this.options, this.snapshot.files, catalog);
    if (brought !== undefined) return brought;
    throw invalidPolicy(
      findings,
      'the catalog changed and the policy does not compile against it',
      'the policy in force stays; change the files (or the table that they name), then `writ policy apply`',
    );
  }

  async ensurePrincipal(principal: PrincipalName): Promise<void> {
    if (this.snapshot.principals.has(principal)) return;
    const invited = [...this.snapshot.catalog.catalogs.keys()].some(
      (catalog) => this.snapshot.decide(principal, 'USE CATALOG', catalog).effect === 'allow',
    );
    // Against the catalog in force: what an application did to its tables since is no reason to turn somebody away.
    if (invited)
      await this.refresh(`${principal} signed in for the first time`, ownInitiative, this.inForceCatalog);
  }

  async claimGroups(
    principal: PrincipalName,
    groups: readonly string[] | undefined,
    issuedAt: number,
  ): Promise<void> {
    await this.claims.signIn(principal, groups, issuedAt);
    await this.settling;
  }

  /** Grants expire by themselves: at that moment the same files mean less. */
  armExpiry(): void {
    if (this.timer !== undefined) clearTimeout(this.timer);
    const wait = this.snapshot.nextExpiry - this.options.clock.now();
    if (!Number.isFinite(wait)) return;
    const longest = 2 ** 31 - 1;
    this.timer = setTimeout(
      () =>
        void this.refresh('a grant expired', ownInitiative, this.inForceCatalog).catch(() =>
          this.armExpiry(),
        ),
      Math.min(Math.max(wait, 1000), longest),
    );
    this.timer.unref();
  }

  close(): void {
    if (this.timer !== undefined) clearTimeout(this.timer);
  }

  /** @throws record_not_writable, and nothing changes */
  private recordApply(actor: Actor, policyVersion: string, summary: string, source?: PolicySource): void {
    const { audit } = this.options;
    const { principal, credential } = actor;
    const what = { decision: 'allow', policyVersion, summary, ...source } as const;
    audit.append({ kind: 'policy.apply', principal, credential, ...what });
    audit.flush();
  }

  /** Clusters first, then the doors: what was widened works at once, what was narrowed is already gone natively. */
  private async bringIntoForce(
    brought: Brought,
    occasion: Occasion,
    planned: FullPlan,
    actor: Actor,
  ): Promise<Applied> {
    const next = brought.snapshot;
    const number = keep(this.options.store, brought, occasion);
    const applying = Promise.all(planned.catalogs.map((each) => this.applyOne(each, next, actor)));
    // DDL may wait for a long reader, REVOKE and the doors never do: whoever lost something is out by then.
    const narrows = planned.policy.shrunk.size > 0;
    await (narrows ? Promise.race([applying, delay(patienceMs)]) : applying);
    const change: PolicyChange = { from: this.snapshot, to: next, plan: planned.policy };
    this.snapshot = next;
    this.options.lastGood.write(next.catalog);
    this.armExpiry();
    this.begins(number);
    this.settling = Promise.allSettled(this.listeners.map((listener) => listener(change)));
    return { ...planned, catalogs: await applying, change };
  }

  /** Questions about the past tell this moment from the one at which it was begun. */
  private begins(number: number): void {
    try {
      this.options.store.keptBegins(number, this.options.clock.now());
    } catch {
      // It stays where it was begun: obeying comes before telling when.
    }
  }

  private async applyOne(each: CatalogPlan, next: Snapshot, actor: Actor): Promise<CatalogPlan> {
    const info = next.catalog.catalogs.get(each.catalog);
    if (each.error !== undefined || info === undefined) return each;
    try {
      const cluster = clusterOf(this.options.clusters, info);
      return {
        ...each,
        plan: await applyCluster({
          cluster,
          catalog: info,
          snapshot: next,
          limits: this.limits,
          audit: actingAs(this.options.audit, actor),
        }),
      };
    } catch (thrown) {
      return { ...each, error: toWritError(thrown) };
    }
  }

  private async planTo(next: Snapshot, files: readonly PolicyFile[]): Promise<FullPlan> {
    const policy = planPolicy(this.snapshot, next);
    const catalogs = await planCatalogs(this.options.clusters, next, this.limits);
    const hash = createHash('sha256').update(`${this.snapshot.id}\n${next.id}\n`);
    for (const each of catalogs) hash.update(`${each.catalog} ${each.plan?.digest ?? each.error?.message}\n`);
    const pending =
      next.id !== this.snapshot.id || catalogs.some((each) => (each.plan?.operations.length ?? 0) > 0);
    const guard = this.guardOf(policy);
    return { policy, catalogs, files, digest: hash.digest('hex'), pending, guard };
  }

  private guardOf({ widened }: PolicyPlan): WritError | undefined {
    try {
      guardWidened(widened, {}, limitsOf(this.limits).maxWidened);
      return undefined;
    } catch (thrown) {
      return toWritError(thrown);
    }
  }

  /** One change at a time, in the order of asking. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    const done = () => work().finally(() => this.claims.ends());
    const turn = this.last.then(done, done);
    this.last = turn.catch(() => undefined);
    return turn;
  }
}

/** Plans every POSTGRES catalog; a cluster that does not answer is an entry with its error. */
export async function planCatalogs(
  clusters: ReadonlyMap<string, Cluster>,
  snapshot: Snapshot,
  limits?: GuardSettings,
): Promise<readonly CatalogPlan[]> {
  return Promise.all(
    postgresCatalogs(snapshot).map(async (info): Promise<CatalogPlan> => {
      const place = { cluster: info.cluster ?? '', catalog: info.name };
      try {
        return {
          ...place,
          plan: await planCluster({ cluster: clusterOf(clusters, info), catalog: info, snapshot, limits }),
          error: undefined,
        };
      } catch (thrown) {
        return { ...place, plan: undefined, error: toWritError(thrown) };
      }
    }),
  );
}

export function postgresCatalogs(snapshot: Snapshot): readonly CatalogInfo[] {
  return [...snapshot.catalog.catalogs.values()].filter((info) => info.kind === 'POSTGRES');
}

/** @throws not_found for a catalog whose cluster is not configured. */
export function clusterOf(clusters: ReadonlyMap<string, Cluster>, info: CatalogInfo): Cluster {
  const cluster = clusters.get(info.cluster ?? '');
  if (cluster === undefined)
    throw new WritError('not_found', {
      message: `cluster ${info.cluster ?? '(none)'} of catalog ${info.name} is not configured`,
    });
  return cluster;
}

async function compileWith(
  options: PolicyInForceOptions,
  files: readonly PolicyFile[],
  catalog = options.store.snapshot(),
): Promise<{ readonly brought: Brought | undefined; readonly findings: readonly Finding[] }> {
  const inputs = inputsNow(options.store, options.labels, files, catalog);
  const compiledAt = options.clock.now();
  const { snapshot, findings } = await compileInputs(inputs, compiledAt);
  return { brought: snapshot === undefined ? undefined : { snapshot, inputs, compiledAt }, findings };
}

async function compileOrThrow(options: PolicyInForceOptions, files: readonly PolicyFile[]): Promise<Brought> {
  const { brought, findings } = await compileWith(options, files);
  if (brought !== undefined) return brought;
  throw invalidPolicy(
    findings,
    'the policy does not compile',
    'nothing changed; `writ policy lint` shows the same list',
  );
}

function invalidPolicy(findings: readonly Finding[], what: string, hint: string): WritError {
  const errors = findings.filter((finding) => finding.severity === 'error');
  return new WritError('invalid_policy', {
    message: `${what}: ${errors.length} error${errors.length === 1 ? '' : 's'}`,
    detail: errors
      .map((finding) => `${finding.path}:${finding.line}:${finding.column} ${finding.message}`)
      .join('\n'),
    hint,
  });
}

function samePrincipals(a: Snapshot, b: Snapshot): boolean {
  return a.principals.size === b.principals.size && [...a.principals].every((name) => b.principals.has(name));
}
