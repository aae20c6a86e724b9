import type { Logger } from 'pino';
import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogStore } from '../catalog/store.ts';
import type { Clock } from '../kernel/clock.ts';
import { loadPolicyFiles } from '../policy/load.ts';
import type { PolicyFile } from '../policy/model.ts';
import { openRepository } from '../policy/source/git.ts';
import { type Follower, openFollower } from '../rolesync/follow.ts';
import type { ApplyRequest } from '../rolesync/in-force.ts';
import type { InstanceConfig } from './parts.ts';

// Where policy files come from: a folder that an operator applies, or a repository that is followed.

interface SourceParts {
  readonly store: CatalogStore;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Source {
  /** What a first start applies; after one that was cut short, what it had put on record. */
  readonly first: ApplyRequest;
  /** What lint and plan look at: the folder as it is, or the last commit that was seen. */
  readonly loadFiles: () => Promise<readonly PolicyFile[]>;
  readonly follower: Follower | undefined;
}

/** @throws on a first start what is wrong with the repository or its commit: there is nothing to go on with */
export async function openSource(config: InstanceConfig, parts: SourceParts): Promise<Source> {
  const { git, policies } = config;
  if (git === undefined)
    return { first: {}, loadFiles: () => loadPolicyFiles(policies), follower: undefined };
  const { store, audit, clock, logger } = parts;
  const repository = openRepository(git.repository);
  const follower = openFollower({
    repository,
    trust: git.trust,
    everySeconds: git.everySeconds,
    store,
    audit,
    clock,
    log: (message, details) =>
      logger.info({ repository: repository.settings.address.shown, ...details }, message),
  });
  const kept = store.policyInForce();
  const first = kept === undefined ? await follower.first() : { files: kept.files, source: kept.source };
  const loadFiles = async () => {
    const commit = follower.status().seen?.commit;
    return commit === undefined ? (first.files ?? []) : repository.files(commit);
  };
  return { first, loadFiles, follower };
}
