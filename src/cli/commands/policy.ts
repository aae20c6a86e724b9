import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { WritError } from '../../kernel/errors.ts';
import type { PolicyFile } from '../../policy/model.ts';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import { writeOut } from '../files.ts';
import { type Answer, plural } from '../output.ts';
import { type AcceptOptions, acceptOf, withAccept } from './policy-accept.ts';
import { type FolderOptions, filesOf, policyFileCommands, withFolder } from './policy-files.ts';
import { policyLintCommand } from './policy-lint.ts';
import { policyQuestionCommands } from './policy-questions.ts';
import { policySourceCommands } from './policy-source.ts';
import { policyTestCommand, type RunPolicyTests } from './policy-test.ts';

export interface PlanValue {
  readonly from?: string;
  readonly to: string;
  readonly pending: boolean;
  readonly summary: string;
  readonly digest: string;
  readonly changes: readonly {
    principal: string;
    table: string;
    gains: string[];
    loses: string[];
    changes?: string[];
  }[];
  /** Why `policy apply` would refuse it, and how it is accepted. */
  readonly guard?: { readonly message: string; readonly detail?: string; readonly hint?: string };
  readonly clusters: readonly ClusterPlanValue[];
  readonly files: readonly PolicyFile[];
}

export interface ClusterPlanValue {
  readonly cluster: string;
  readonly catalog: string;
  readonly operations: readonly { words: string; sql: string }[];
  readonly notEnforced: readonly string[];
  readonly error?: string;
}

interface PlanOptions extends FolderOptions {
  readonly out?: string;
}

type ApplyOptions = FolderOptions & AcceptOptions;

/** Everything under `writ policy`. */
export function policyCommands(program: Command, context: CliContext, runTests: RunPolicyTests): void {
  const policy = program
    .command('policy')
    .description('the policy: files in git, compiled into every engine');
  policyLintCommand(policy, context);
  policyFileCommands(policy, context);
  policyTestCommand(policy, context, runTests);
  policyChangeCommands(policy, context);
  policyQuestionCommands(policy, context);
  policySourceCommands(policy, context);
}

/** plan, apply. */
function policyChangeCommands(policy: Command, context: CliContext): void {
  withFolder(
    clientCommand(policy, 'plan', 'say who gains and loses what; exit 2 when something would change'),
  )
    .option('--out <file>', 'save the plan for `policy apply FILE`')
    .action(action<[], PlanOptions>(context, plan));
  withAccept(withFolder(clientCommand(policy, 'apply [plan]', 'bring the policy into force'))).action(
    action<[string | undefined], ApplyOptions>(context, apply),
  );
}

async function plan({ api }: Connection, options: PlanOptions): Promise<Answer> {
  const value = await api.call<PlanValue>('POST', '/api/v1/policy/plan', await filesOf(options));
  if (options.out !== undefined) writeOut(options.out, JSON.stringify(value, null, 2));
  return { value, text: formatPlan(value), exit: exitOfPlan(value) };
}

/** A cluster that could not be looked at is no "nothing to do". */
function exitOfPlan({ pending, clusters }: PlanValue): 0 | 1 | 2 {
  if (clusters.some(({ error }) => error !== undefined)) return 1;
  return pending ? 2 : 0;
}

async function apply({ api }: Connection, options: ApplyOptions, saved: string | undefined): Promise<Answer> {
  const policy = saved === undefined ? await filesOf(options) : readPlan(saved);
  const body = { ...policy, ...acceptOf(options) };
  const value = await api.call<PlanValue & { sessionsEnded: number; partial: boolean }>(
    'POST',
    '/api/v1/policy/apply',
    body,
  );
  const failed = value.clusters.filter((cluster) => cluster.error !== undefined);
  const lines = [value.summary, `in force: ${value.to}`, `${plural(value.sessionsEnded, 'session')} ended`];
  for (const cluster of value.clusters)
    lines.push(
      `${cluster.cluster}/${cluster.catalog}: ${cluster.error ?? plural(cluster.operations.length, 'operation')}`,
    );
  return { value, text: lines.join('\n'), exit: failed.length > 0 ? 3 : 0 };
}

/** Words of access first, then what is not enforced and why, then the SQL beneath. */
export function formatPlan(value: PlanValue): string {
  const lines = [value.summary];
  if (value.guard !== undefined)
    lines.push(
      ...[
        `apply would be refused: ${value.guard.message}`,
        value.guard.detail ?? '',
        value.guard.hint ?? '',
      ].filter((line) => line !== ''),
    );
  for (const change of value.changes) {
    const parts = [
      change.gains.length > 0 ? `gains ${change.gains.join(', ')}` : '',
      change.loses.length > 0 ? `loses ${change.loses.join(', ')}` : '',
      change.changes?.join(', ') ?? '',
    ];
    lines.push(`  ${change.principal} on ${change.table}: ${parts.filter((part) => part !== '').join('; ')}`);
  }
  for (const cluster of value.clusters) lines.push(...formatClusterPlan(cluster));
  return lines.join('\n');
}

export function formatClusterPlan(cluster: ClusterPlanValue): string[] {
  const lines = [
    '',
    `cluster ${cluster.cluster}, catalog ${cluster.catalog}: ${cluster.error ?? plural(cluster.operations.length, 'operation')}`,
  ];
  for (const reason of cluster.notEnforced)
    lines.push(`  not enforced on cluster ${cluster.cluster}: ${reason}`);
  for (const operation of cluster.operations) {
    lines.push(`  ${operation.words}`, ...operation.sql.split('\n').map((line) => `      ${line}`));
  }
  return lines;
}

/** What a plan must have to be applied. */
const savedPlan = z.object({
  files: z.array(z.object({ path: z.string(), text: z.string() })),
  digest: z.string(),
});

function readPlan(path: string): object {
  try {
    return savedPlan.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new WritError('invalid_argument', {
      message: `${path} is no saved plan`,
      hint: 'make one with `writ policy plan --out FILE`',
      cause,
    });
  }
}
