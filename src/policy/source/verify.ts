import { WritError } from '../../kernel/errors.ts';
import type { PolicyFile } from '../model.ts';
import type { Repository } from './git.ts';
import { outOfScope } from './scope.ts';
import { judge, type Trust } from './trust.ts';

// From a commit that somebody pushed to files that may become the policy, or the reasons why not.

export interface VerifyOptions {
  readonly repository: Repository;
  /** undefined: unsigned commits are followed. */
  readonly trust: Trust | undefined;
  /** Commits that were in force at some time: verified then. The last is in force now. */
  readonly past: readonly string[];
  /** ms */
  readonly now: number;
}

export interface VerifiedCommit {
  readonly commit: string;
  /** Of the newest commit; as it says it. */
  readonly author: string;
  readonly signers: readonly string[];
  readonly approvers: readonly string[];
  readonly files: readonly PolicyFile[];
}

/**
 * Verifies everything between what is in force and `head`.
 * @throws conflict where the history was rewritten or went back, permission_denied where a commit is not signed by whom
 * it should be, invalid_policy where the files cannot be read
 */
export async function verifyCommit(options: VerifyOptions, head: string): Promise<VerifiedCommit> {
  const { repository, trust, past, now } = options;
  await expectDescendant(options, head);
  const known = trust?.initial === undefined ? past : [...past, trust.initial];
  const commits = await repository.commitsSince(known, head);
  const verdict = trust === undefined ? undefined : judge(commits, trust, now);
  if (verdict !== undefined && verdict.problems.length > 0) throw notTrusted(head, verdict.problems);
  const files = await repository.files(head);
  const outside = outOfScope(files, repository.settings.folder, trust?.delegations ?? []);
  if (outside.length > 0) throw notTrusted(head, outside);
  return {
    commit: head,
    author: commits.at(-1)?.author ?? '',
    signers: verdict?.signers ?? [],
    approvers: verdict?.approvers ?? [],
    files,
  };
}

function notTrusted(commit: string, problems: readonly string[]): WritError {
  return new WritError('permission_denied', {
    message: `commit ${commit.slice(0, 12)} is not trusted`,
    detail: problems.join('\n'),
    hint: 'nothing changed; who may change what stands under `policy.source.trust` in writ.yaml',
  });
}

/** Whoever can push but not sign must not be able to bring back what was in force once. */
async function expectDescendant({ repository, trust, past }: VerifyOptions, head: string): Promise<void> {
  const base = past.at(-1) ?? trust?.initial;
  if (base === undefined || (await repository.isAncestor(base, head))) return;
  const { ref } = repository.settings;
  const what = past.length === 0 ? 'trust.initial' : 'the commit in force';
  if (await repository.isAncestor(head, base))
    throw new WritError('conflict', {
      message: `${ref} went back to ${head.slice(0, 12)}, which is older than ${what} (${base.slice(0, 12)})`,
      detail: 'going back by moving the ref would need no signature',
      hint: 'commit a signed `git revert`, or run `writ policy rollback`',
    });
  throw new WritError('conflict', {
    message: `${ref} is at ${head.slice(0, 12)}, which does not come after ${what} (${base.slice(0, 12)}): its history was rewritten`,
    hint: `nothing changed; put ${base.slice(0, 12)} back into the history of ${ref}`,
  });
}
