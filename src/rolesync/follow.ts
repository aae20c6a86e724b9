import type { Actor } from '../audit/acting.ts';
import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogSnapshot } from '../catalog/model.ts';
import type { CatalogStore, PolicyInForce, PolicySource } from '../catalog/store.ts';
import type { Clock } from '../kernel/clock.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import { operatorName } from '../kernel/principal.ts';
import type { Repository } from '../policy/source/git.ts';
import type { Trust } from '../policy/source/trust.ts';
import { type VerifiedCommit, verifyCommit } from '../policy/source/verify.ts';
import type { Acceptance } from './guard.ts';
import type { ApplyRequest, CatalogPlan, FullPlan, InForce } from './in-force.ts';

// Follows a ref: what is new there is verified, then applied like any other policy. What is refused changes nothing, is
// recorded once, and is looked at again when the ref moves.

export interface FollowOptions {
  readonly repository: Repository;
  /** undefined: unsigned commits are followed. */
  readonly trust: Trust | undefined;
  readonly everySeconds: number;
  readonly store: CatalogStore;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** For the operator's log; never a secret. */
  readonly log: (message: string, details: object) => void;
}

export interface FollowRefusal {
  /** Absent: the repository could not be read. */
  readonly commit?: string;
  readonly since: number;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

export interface FollowStatus {
  readonly repository: string;
  readonly ref: string;
  readonly folder: string;
  readonly signed: boolean;
  /** The commit in force; absent while a policy from elsewhere is. */
  readonly inForce?: PolicySource & { readonly since: number; readonly appliedBy: string };
  /** What the ref named when it was last read. */
  readonly seen?: { readonly commit: string; readonly at: number };
  /** The ref still names a commit that an operator rolled back: it is not followed before the ref moves on. */
  readonly rolledBack: boolean;
  /** Catalogs whose cluster did not obey the last apply; tried again when it answers. */
  readonly lagging: readonly { readonly catalog: string; readonly why: string }[];
  readonly refusal?: FollowRefusal;
}

export interface RollbackRequest {
  /** The beginning of a commit id; undefined: the one before the present one. */
  readonly commit?: string | undefined;
  readonly reason?: string | undefined;
  readonly accept?: Acceptance | undefined;
}

export interface Follower {
  readonly repository: Repository;
  status(): FollowStatus;
  /** Fetches now and brings into force what is new; a refused commit is looked at again. Who accepts something acts. */
  look(actor: Actor, accept?: Acceptance): Promise<FollowStatus>;
  /**
   * Brings a commit into force again that was before. Until the ref moves on, what was rolled back is not followed.
   * @throws not_found for a commit that was never in force
   */
  rollback(actor: Actor, request: RollbackRequest): Promise<FollowStatus>;
  /** The first start's files. @throws what verification throws, after it is on record */
  first(): Promise<ApplyRequest>;
  /** Looks now and every so many seconds. */
  start(inForce: InForce): void;
  close(): Promise<void>;
}

interface Looking {
  readonly actor: Actor;
  readonly accept?: Acceptance | undefined;
}

const itself: Actor = { principal: operatorName, credential: 'git' };

export function openFollower(options: FollowOptions): Follower {
  return new GitFollower(options);
}

class GitFollower implements Follower {
  readonly repository: Repository;
  private readonly options: FollowOptions;
  private inForce: InForce | undefined;
  private seen: { readonly commit: string; readonly at: number } | undefined;
  /** What was seen there and is not followed: an operator went back from it. */
  private held: string | undefined;
  private refusal:
    | (FollowRefusal & { readonly error: WritError; readonly catalog: CatalogSnapshot })
    | undefined;
  /** A cluster did not obey the last apply: tried again when it answers. */
  private lagging: readonly CatalogPlan[] = [];
  private readonly looking = new Turns();
  /** Apart from looking: nobody who pushes much can make an operator wait who goes back. */
  private readonly applying = new Turns();
  private rollbacks = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: FollowOptions) {
    this.options = options;
    this.repository = options.repository;
  }

  status(): FollowStatus {
    const { address, ref, folder } = this.repository.settings;
    const kept = this.options.store.policyInForce();
    const held = rolledBack(this.options.store.policies());
    const { error: _, catalog: __, ...refusal } = this.refusal ?? { error: undefined, catalog: undefined };
    return {
      repository: address.shown,
      ref,
      folder,
      signed: this.options.trust !== undefined,
      ...(kept?.source === undefined
        ? {}
        : { inForce: { ...kept.source, since: kept.appliedAt, appliedBy: kept.appliedBy } }),
      ...(this.seen === undefined ? {} : { seen: this.seen }),
      rolledBack: this.seen !== undefined && (held.has(this.seen.commit) || this.held === this.seen.commit),
      lagging: this.lagging.map(({ catalog, error }) => ({ catalog, why: error?.message ?? '' })),
      ...('message' in refusal ? { refusal } : {}),
    };
  }

  look(actor: Actor, accept?: Acceptance): Promise<FollowStatus> {
    return this.looking.alone(async () => {
      await this.lookOnce(accept === undefined ? { actor: itself } : { actor, accept }, true);
      return this.status();
    });
  }

  rollback(actor: Actor, { commit: wanted, reason, accept }: RollbackRequest): Promise<FollowStatus> {
    return this.applying.alone(async () => {
      this.rollbacks++;
      const policies = this.options.store.policies();
      const target = wanted === undefined ? before(policies) : named(policies, wanted);
      const from = this.options.store.policyInForce()?.source?.commit;
      const words = `rolled back from ${short(from)} to ${short(target.source.commit)}${reason === undefined ? '' : `: ${reason}`}`;
      const applied = await this.running().apply(actor, {
        files: target.files,
        source: target.source,
        accept,
      });
      this.lagging = laggards(applied);
      this.record({ ...target.source, author: undefined, approvers: [] }, words, actor);
      this.refusal = undefined;
      return this.status();
    });
  }

  async first(): Promise<ApplyRequest> {
    let head: string | undefined;
    try {
      head = await this.repository.fetch();
      this.seen = { commit: head, at: this.options.clock.now() };
      const verified = await this.verify(head);
      this.record({ ...this.sourceOf(verified), ...verified }, 'the first policy');
      return { files: verified.files, source: this.sourceOf(verified) };
    } catch (thrown) {
      this.refuse(toWritError(thrown), head);
      throw thrown;
    }
  }

  start(inForce: InForce): void {
    this.inForce = inForce;
    const next = () => {
      if (this.closed) return;
      this.timer = setTimeout(turn, this.options.everySeconds * 1000);
    };
    const turn = () => void this.looking.alone(() => this.lookOnce({ actor: itself }, false)).finally(next);
    turn();
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.repository.close();
    await this.looking.last;
    await this.applying.last;
  }

  private running(): InForce {
    if (this.inForce === undefined)
      throw new WritError('conflict', { message: 'the instance is still starting' });
    return this.inForce;
  }

  /** Never throws: what is wrong stands in the status, the log and the record. */
  private async lookOnce(by: Looking, asked: boolean): Promise<void> {
    if (this.closed) return;
    let head: string | undefined;
    try {
      head = await this.repository.fetch();
      this.seen = { commit: head, at: this.options.clock.now() };
      await this.follow(head, by, asked);
    } catch (thrown) {
      if (!this.closed) this.refuse(toWritError(thrown), head);
    }
  }

  private async follow(head: string, { actor, accept }: Looking, asked: boolean): Promise<void> {
    const { store } = this.options;
    if (head === store.policyInForce()?.source?.commit) {
      this.refusal = undefined;
      if (this.lagging.length > 0) await this.applying.alone(() => this.catchUp());
      return;
    }
    this.held = (await this.isHeld(head)) ? head : undefined;
    if (this.held !== undefined) {
      this.refusal = undefined;
      return;
    }
    if (!asked && this.refusedBefore(head)) return;
    const { rollbacks } = this;
    const verified = await this.verify(head);
    const source = this.sourceOf(verified);
    await this.applying.alone(async () => {
      // An operator went back meanwhile: the next look asks again whether this is to be followed.
      if (rollbacks !== this.rollbacks) return;
      const applied = await this.running().apply(actor, { files: verified.files, source, accept });
      this.refusal = undefined;
      this.lagging = laggards(applied);
      this.record({ ...source, ...verified }, applied.policy.summary, actor);
    });
  }

  /** Rolled back, or on the way to what was: moving the ref there needs no signature. */
  private async isHeld(head: string): Promise<boolean> {
    const { store } = this.options;
    const held = rolledBack(store.policies());
    if (held.has(head)) return true;
    const now = store.policyInForce()?.source?.commit;
    if (now === undefined || !(await this.repository.isAncestor(now, head))) return false;
    for (const commit of held) if (await this.repository.isAncestor(head, commit)) return true;
    return false;
  }

  /** The same verdict about the same commit; a policy that did not fit the tables may fit them now. */
  private refusedBefore(head: string): boolean {
    const { refusal } = this;
    if (refusal?.commit !== head) return false;
    switch (refusal.error.code) {
      case 'permission_denied':
      case 'conflict':
      case 'guard_refused':
      case 'too_large':
        return true;
      case 'invalid_policy':
        return refusal.catalog === this.options.store.snapshot();
      default:
        return false;
    }
  }

  /** A cluster was away when the policy came into force. */
  private async catchUp(): Promise<void> {
    const kept = this.options.store.policyInForce();
    if (kept === undefined) return;
    const { files, source } = kept;
    const planned = await this.running().plan(files);
    const away = laggards(planned);
    if (away.length >= this.lagging.length) return;
    const applied = planned.pending ? await this.running().apply(itself, { files, source }) : undefined;
    this.lagging = applied === undefined ? away : laggards(applied);
  }

  private verify(head: string): Promise<VerifiedCommit> {
    const { repository, trust, store, clock } = this.options;
    const past = store.policies().flatMap(({ source }) => (source === undefined ? [] : [source.commit]));
    const now = store.policyInForce()?.source?.commit;
    return verifyCommit(
      { repository, trust, past: now === undefined ? past : [...past, now], now: clock.now() },
      head,
    );
  }

  private sourceOf({ commit, signers, approvers }: VerifiedCommit): PolicySource {
    const { address, ref } = this.repository.settings;
    return { repository: address.shown, ref, commit, signers: [...new Set([...signers, ...approvers])] };
  }

  private record(
    what: PolicySource & { readonly author: string | undefined; readonly approvers: readonly string[] },
    summary: string,
    { principal, credential }: Actor = itself,
  ): void {
    const { repository, ref, commit, signers, approvers, author } = what;
    const { audit } = this.options;
    const by = author === undefined ? {} : { author };
    const where = { repository, ref, commit, signers, approvers, ...by };
    audit.append({ kind: 'policy.source', principal, credential, decision: 'allow', summary, ...where });
    audit.flush();
    this.options.log('a commit is in force', { commit, signers, summary });
  }

  /** Once per commit and reason, not at every look. */
  private refuse(error: WritError, commit: string | undefined): void {
    const { audit, clock, store, log } = this.options;
    const { address, ref } = this.repository.settings;
    const again =
      this.refusal?.commit === commit &&
      this.refusal?.message === error.message &&
      this.refusal.detail === error.detail;
    this.refusal = {
      ...(commit === undefined ? {} : { commit }),
      since: again && this.refusal !== undefined ? this.refusal.since : clock.now(),
      message: error.message,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      error,
      catalog: store.snapshot(),
    };
    if (again) return;
    log(error.message, { commit, detail: error.detail });
    try {
      audit.append({
        kind: 'policy.source',
        ...itself,
        decision: 'deny',
        repository: address.shown,
        ref,
        ...(commit === undefined ? {} : { commit }),
        summary: 'nothing changed',
        message: error.message,
        reasons: (error.detail ?? error.message).split('\n'),
      });
      audit.flush();
    } catch (thrown) {
      // The next look says it again: this refusal is not on record.
      this.refusal = undefined;
      log(toWritError(thrown).message, { commit });
    }
  }
}

/** One at a time, in the order of asking. */
class Turns {
  last: Promise<unknown> = Promise.resolve();

  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work, work);
    this.last = turn.catch(() => undefined);
    return turn;
  }
}

type Followed = PolicyInForce & { readonly source: PolicySource };

function followed(policies: readonly PolicyInForce[]): readonly Followed[] {
  return policies.filter((policy): policy is Followed => policy.source !== undefined);
}

/** What was in force after the commit that is in force again: an operator went back from it. Oldest first. */
export function rolledBack(policies: readonly PolicyInForce[]): ReadonlySet<string> {
  const commits = followed(policies).map(({ source }) => source.commit);
  const now = commits.at(-1);
  const after = commits.slice(commits.indexOf(now ?? '') + 1);
  return new Set(after.filter((commit) => commit !== now));
}

/** The one that was in force before the present one came for the first time. */
function before(policies: readonly PolicyInForce[]): Followed {
  const all = followed(policies);
  const now = all.at(-1)?.source.commit;
  const found = all[all.findIndex(({ source }) => source.commit === now) - 1];
  if (found !== undefined) return found;
  throw new WritError('not_found', { message: 'no commit was in force before the present one' });
}

function named(policies: readonly PolicyInForce[], wanted: string): Followed {
  const found = followed(policies).filter(({ source }) => source.commit.startsWith(wanted.toLowerCase()));
  const commits = new Set(found.map(({ source }) => source.commit));
  const policy = found.at(-1);
  if (policy !== undefined && commits.size === 1) return policy;
  throw new WritError('not_found', {
    message:
      commits.size > 1
        ? `${wanted} could be ${commits.size} commits`
        : `commit ${wanted} was never in force here`,
    hint: 'what was once in force can come back; anything else is a new commit',
  });
}

function laggards({ catalogs }: Pick<FullPlan, 'catalogs'>): readonly CatalogPlan[] {
  return catalogs.filter(({ error }) => error !== undefined);
}

function short(commit: string | undefined): string {
  return commit?.slice(0, 12) ?? 'files from elsewhere';
}
