import type { Command } from 'commander';
import { action, type CliContext, clientCommand } from '../context.ts';
import type { Answer } from '../output.ts';
import { type AcceptOptions, acceptOf, withAccept } from './policy-accept.ts';

interface StatusValue {
  readonly repository: string | null;
  readonly ref: string;
  readonly folder: string;
  readonly signed: boolean;
  readonly inForce?: { commit: string; signers: string[]; since: number; appliedBy: string };
  readonly seen?: { commit: string; at: number };
  readonly rolledBack: boolean;
  readonly lagging: { catalog: string; why: string }[];
  readonly refusal?: { commit?: string; since: number; message: string; detail?: string; hint?: string };
}

/** status, fetch, rollback: the repository that the policy follows. */
export function policySourceCommands(policy: Command, context: CliContext): void {
  clientCommand(policy, 'status', 'where the policy comes from; exit 1 when a commit is refused').action(
    action<[], object>(context, async ({ api }) =>
      answer(await api.call<StatusValue>('GET', '/api/v1/policy/source')),
    ),
  );
  withAccept(
    clientCommand(policy, 'fetch', 'look at the repository now; exit 1 when its commit is refused'),
  ).action(
    action<[], AcceptOptions>(context, async ({ api }, options) =>
      answer(await api.call<StatusValue>('POST', '/api/v1/policy/sync', acceptOf(options))),
    ),
  );
  withAccept(
    clientCommand(
      policy,
      'rollback [commit]',
      'bring back the commit that was in force before, or an earlier one; recorded',
    ),
  )
    .option('--reason <text>', 'recorded with it')
    .action(
      action<[string | undefined], AcceptOptions & { reason?: string }>(
        context,
        async ({ api }, options, commit) =>
          answer(
            await api.call<StatusValue>('POST', '/api/v1/policy/rollback', {
              ...(commit === undefined ? {} : { commit }),
              ...(options.reason === undefined ? {} : { reason: options.reason }),
              ...acceptOf(options),
            }),
          ),
      ),
    );
}

function answer(value: StatusValue): Answer {
  if (value.repository === null)
    return { value, text: 'the policy is a folder; `writ policy apply` brings it into force' };
  const { inForce, seen, refusal } = value;
  const lines = [
    `${value.repository} ${value.ref}, folder ${value.folder}${value.signed ? '' : ' (unsigned commits are followed)'}`,
    inForce === undefined
      ? 'in force: files from elsewhere'
      : `in force: ${inForce.commit} since ${at(inForce.since)}${by(inForce.signers)}`,
  ];
  if (seen !== undefined && seen.commit !== inForce?.commit)
    lines.push(`seen: ${seen.commit} at ${at(seen.at)}`);
  if (value.rolledBack) lines.push('rolled back by an operator: followed again when the ref moves on');
  for (const { catalog, why } of value.lagging) lines.push(`not yet everywhere: ${catalog}: ${why}`);
  if (refusal !== undefined) {
    lines.push(`refused${refusal.commit === undefined ? '' : ` ${refusal.commit}`}: ${refusal.message}`);
    for (const line of refusal.detail?.split('\n') ?? []) lines.push(`  ${line}`);
    if (refusal.hint !== undefined) lines.push(`  do: ${refusal.hint}`);
  }
  return {
    value,
    text: lines.join('\n'),
    exit: refusal !== undefined ? 1 : value.lagging.length > 0 ? 3 : 0,
  };
}

function at(time: number): string {
  return new Date(time).toISOString();
}

function by(signers: readonly string[]): string {
  return signers.length === 0 ? '' : `, signed by ${signers.join(', ')}`;
}
