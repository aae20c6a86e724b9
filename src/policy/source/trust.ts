import type { SecurableName } from '../../kernel/securable-name.ts';
import { matchesGlob, specificity } from './glob.ts';

// Whether commits may become the policy: who signed them, what they touch, who else approved. Pure.

export interface Delegation {
  readonly paths: readonly string[];
  readonly signers: readonly string[];
  /** What files there may speak of (scope.ts); absent: everything. */
  readonly on?: readonly SecurableName[] | undefined;
}

export interface Approval {
  readonly paths: readonly string[];
  readonly by: readonly string[];
  /** How many of `by`, the signer of the change not counted. */
  readonly count: number;
}

/** Stands outside the repository: no commit changes it. */
export interface Trust {
  /** Trusted as it is; absent: the whole history is verified. */
  readonly initial?: string | undefined;
  readonly delegations: readonly Delegation[];
  readonly approvals: readonly Approval[];
}

/** What git's own verification said; `signer` as the allowed-signers file (or the primary key's fingerprint) names it. */
export type Signature =
  | { readonly kind: 'good'; readonly signer: string }
  | { readonly kind: 'refused'; readonly why: string };

export interface SeenCommit {
  readonly id: string;
  /** Milliseconds since the epoch, as the commit says it. */
  readonly committedAt: number;
  /** As the commit says it: nobody has checked it. */
  readonly author: string;
  readonly signature: Signature;
  /** Commits that its message approves (`Approves: <full id>`). */
  readonly approves: readonly string[];
  /** From the top of the repository; only what lies below the policy folder, and what it changes itself (changes.ts). */
  readonly changes: readonly string[];
}

export interface Verdict {
  /** Empty: the commits may come into force. */
  readonly problems: readonly string[];
  readonly signers: readonly string[];
  readonly approvers: readonly string[];
}

/** A signer's clock may be ahead of ours by this much (ms). */
const clockSkew = 10 * 60_000;

/** @param commits everything between what is in force and what would be @param now ms */
export function judge(commits: readonly SeenCommit[], trust: Trust, now: number): Verdict {
  const approvers = new Set<string>();
  const problems = commits.flatMap((commit) => {
    const signer = signerOf(commit);
    const name = commit.id.slice(0, 12);
    if (signer === undefined)
      return [`${name}: ${commit.signature.kind === 'refused' ? commit.signature.why : ''}`];
    const found = commit.changes
      .filter((path) => !mayChange(signer, path, trust.delegations))
      .map((path) => `${name}: ${signer} may not change ${path}: ${whoMay(path, trust.delegations)}`);
    if (commit.committedAt > now + clockSkew) found.push(`${name}: it says that it was made in the future`);
    return [...found, ...unapproved(commit, signer, commits, trust.approvals, approvers)];
  });
  const signers = new Set(commits.map(signerOf).filter((signer) => signer !== undefined));
  return { problems, signers: [...signers].sort(), approvers: [...approvers].sort() };
}

function signerOf({ signature }: SeenCommit): string | undefined {
  return signature.kind === 'good' ? signature.signer : undefined;
}

/**
 * A path belongs to the most specific delegation that names it, and to its signers alone; where several are equally
 * specific, to who is in all of them. What no delegation names belongs to the signers whom no delegation names.
 */
export function mayChange(signer: string, path: string, delegations: readonly Delegation[]): boolean {
  const mine = mostSpecific(path, delegations);
  if (mine.length > 0) return mine.every(({ signers }) => signers.includes(signer));
  return !delegations.some(({ signers }) => signers.includes(signer));
}

/** Several where they are equally specific; none where no delegation names the path. */
export function mostSpecific(path: string, delegations: readonly Delegation[]): readonly Delegation[] {
  const found = delegations.flatMap((delegation) => {
    const matching = delegation.paths.filter((pattern) => matchesGlob(pattern, path));
    return matching.length === 0 ? [] : [{ delegation, rank: Math.max(...matching.map(specificity)) }];
  });
  const highest = Math.max(...found.map(({ rank }) => rank));
  return found.filter(({ rank }) => rank === highest).map(({ delegation }) => delegation);
}

function whoMay(path: string, delegations: readonly Delegation[]): string {
  const owners = mostSpecific(path, delegations);
  if (owners.length === 0) return 'it belongs to the signers without a delegation';
  return `it is delegated to ${[...new Set(owners.flatMap(({ signers }) => signers))].join(', ')}`;
}

/** What the commit changes and too few others approved; those who did are added to `approvers`. */
function unapproved(
  commit: SeenCommit,
  signer: string,
  commits: readonly SeenCommit[],
  approvals: readonly Approval[],
  approvers: Set<string>,
): string[] {
  const said = commits.filter((other) => other.approves.includes(commit.id)).map(signerOf);
  return approvals.flatMap(({ paths, by, count }) => {
    const path = commit.changes.find((changed) => paths.some((pattern) => matchesGlob(pattern, changed)));
    if (path === undefined) return [];
    const who = new Set(said.filter((name) => name !== undefined && name !== signer && by.includes(name)));
    for (const name of who) if (name !== undefined) approvers.add(name);
    if (who.size >= count) return [];
    const missing = count - who.size;
    return [
      `${commit.id.slice(0, 12)}: ${path} needs ${missing} more approval${missing === 1 ? '' : 's'} of ${by.join(', ')}: a signed commit that says "Approves: ${commit.id}"`,
    ];
  });
}
