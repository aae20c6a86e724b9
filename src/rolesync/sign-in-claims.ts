import type { CatalogStore, ClaimedGroups } from '../catalog/store.ts';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { Snapshot } from '../policy/model.ts';

// Groups of sign-ins on their way into force. Each change recompiles the policy and looks at every cluster, so that whoever
// may choose what a token says (a scope more or less) must not be able to keep an instance busy.

export interface SignInClaimsOptions {
  readonly store: CatalogStore;
  readonly clock: Clock;
  readonly current: () => Snapshot;
  /** Brings what is stored into force, unless `needed` says in its turn that it is by now. */
  readonly refresh: (why: string, needed: () => boolean) => Promise<void>;
}

/** Sign-ins of one principal that gain groups, at most, in `paceMs`. Losing groups is never put off. */
const mostGains = 5;
const paceMs = 60_000;

export class SignInClaims {
  readonly #options: SignInClaimsOptions;
  /** What the change under way was compiled with. */
  #coming: ReadonlyMap<PrincipalName, string> | undefined;
  /** When each principal last gained groups, the oldest first; those of the last minute. */
  readonly #gained = new Map<PrincipalName, readonly number[]>();

  constructor(options: SignInClaimsOptions) {
    this.#options = options;
  }

  /** A change reads the claims now; what is claimed until it `ends` is not part of it. */
  begins(): void {
    const all = this.#options.store.claimedGroups();
    this.#coming = new Map(all.map((one) => [one.principal, said(one)]));
  }

  ends(): void {
    this.#coming = undefined;
  }

  /** @throws too_many where groups are gained too often: what was lost is lost, and nothing is gained */
  async signIn(
    principal: PrincipalName,
    groups: readonly string[] | undefined,
    issuedAt: number,
  ): Promise<void> {
    const { store, clock, current } = this.#options;
    // An issuer that claims no groups (any more) says of somebody who had some that there are none.
    if (groups === undefined && store.claimedGroupsOf(principal) === undefined) return;
    store.putClaimedGroups(principal, groups ?? [], issuedAt);
    if (this.#isInForce(principal)) return;
    const latest = store.claimedGroupsOf(principal);
    const own = current().groupsOf(principal);
    const gains = (latest?.groups ?? []).filter((group) => !own.has(group as never));
    const counts = gains.some((group) => current().claimSourced.has(group as never));
    if (latest === undefined || !counts || this.#mayGain(principal, clock.now()))
      return this.#bring(principal);
    // The same token again may not bring back what it is refused for: of one moment the fewer groups count.
    const kept = latest.groups.filter((group) => !gains.includes(group));
    store.putClaimedGroups(principal, kept, latest.issuedAt);
    if (!this.#isInForce(principal)) await this.#bring(principal);
    throw new WritError('too_many', {
      message: 'too many changes of groups',
      detail: `sign-ins of ${principal} gained groups ${mostGains} times within a minute`,
      hint: 'wait a minute, then sign in with a new token that names the groups wanted',
    });
  }

  #bring(principal: PrincipalName): Promise<void> {
    return this.#options.refresh(
      `the sign-in of ${principal} claims other groups`,
      () => !this.#says(principal),
    );
  }

  /** In force, and still so after the change that is under way. */
  #isInForce(principal: PrincipalName): boolean {
    const latest = this.#options.store.claimedGroupsOf(principal);
    const coming = this.#coming;
    const stays = coming === undefined || coming.get(principal) === (latest && said(latest));
    return stays && this.#says(principal);
  }

  /** Whether the snapshot has the principal in exactly those of the claimed groups that count. */
  #says(principal: PrincipalName): boolean {
    const { store, current } = this.#options;
    const claimed = store.claimedGroupsOf(principal)?.groups ?? [];
    const own = current().groupsOf(principal);
    return [...current().claimSourced].every((group) => own.has(group) === claimed.includes(group));
  }

  #mayGain(principal: PrincipalName, now: number): boolean {
    for (const [name, times] of this.#gained)
      if ((times.at(-1) ?? 0) <= now - paceMs) this.#gained.delete(name);
    const recent = (this.#gained.get(principal) ?? []).filter((at) => at > now - paceMs);
    if (recent.length >= mostGains) return false;
    this.#gained.set(principal, [...recent, now]);
    return true;
  }
}

const said = ({ groups }: ClaimedGroups) => JSON.stringify(groups);
