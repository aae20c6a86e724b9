import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { toWritError, WritError } from '../../kernel/errors.ts';
import { policyJsonSchema } from '../../policy/json-schema.ts';
import { loadPolicyFiles } from '../../policy/load.ts';
import type { PolicyFile } from '../../policy/model.ts';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import { type Answer, plural } from '../output.ts';

interface FindingValue {
  readonly severity: string;
  readonly rule: string;
  readonly message: string;
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly hint?: string;
}

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

interface PolicyOptions {
  readonly policies?: string;
  readonly out?: string;
}

/** lint, plan, apply, explain, who-can, schema. */
export function policyCommands(program: Command, context: CliContext): void {
  const policy = program
    .command('policy')
    .description('the policy: files in git, compiled into every engine');
  const withFolder = (command: Command) =>
    command.option('--policies <folder>', "files to use instead of the instance's own folder");
  withFolder(clientCommand(policy, 'lint', 'check the files; exit 1 on findings')).action(
    action<[], PolicyOptions>(context, (connection, options) => lint(context, connection, options)),
  );
  withFolder(
    clientCommand(policy, 'plan', 'say who gains and loses what; exit 2 when something would change'),
  )
    .option('--out <file>', 'save the plan for `policy apply FILE`')
    .action(action<[], PolicyOptions>(context, plan));
  withFolder(clientCommand(policy, 'apply [plan]', 'bring the policy into force')).action(
    action<[string | undefined], PolicyOptions>(context, apply),
  );
  clientCommand(policy, 'explain <principal> <privilege> <securable>', 'why somebody may or may not').action(
    action<[string, string, string], object>(
      context,
      async ({ api }, _options, principal, privilege, securable) => {
        const value = await api.call<{ effect: string; text: string }>('POST', '/api/v1/policy/explain', {
          principal,
          privilege,
          securable,
        });
        return { value, text: value.text, exit: value.effect === 'allow' ? 0 : 1 };
      },
    ),
  );
  clientCommand(policy, 'who-can <privilege> <securable>', 'everybody who may').action(
    action<[string, string], object>(context, async ({ api }, _options, privilege, securable) => {
      const value = await api.call<{ principals: string[] }>('POST', '/api/v1/policy/who-can', {
        privilege,
        securable,
      });
      return { value, text: value.principals.join('\n') };
    }),
  );
  policy
    .command('schema')
    .description('print the JSON Schema of policy files, for editors')
    .action(() => context.print(JSON.stringify(policyJsonSchema(), null, 2)));
}

async function lint(context: CliContext, connection: Connection, options: PolicyOptions): Promise<Answer> {
  const value = (await lintThere(connection, options)) ?? (await lintHere(context, options));
  const lines = value.findings.map(
    (f) =>
      `${f.path}:${f.line}:${f.column} ${f.severity} ${f.rule} ${f.message}${f.hint === undefined ? '' : `\n    ${f.hint}`}`,
  );
  return {
    value,
    text: lines.length === 0 ? 'no findings' : lines.join('\n'),
    exit: lines.length === 0 ? 0 : 1,
  };
}

/** @returns undefined when no instance runs that could say. */
async function lintThere(
  connection: Connection,
  options: PolicyOptions,
): Promise<{ findings: readonly FindingValue[] } | undefined> {
  const files = await filesOf(options);
  if (connection.server !== undefined) return connection.api.call('POST', '/api/v1/policy/lint', files);
  try {
    connection.endpoints();
  } catch (thrown) {
    if (toWritError(thrown).code === 'not_found') return undefined;
    throw thrown;
  }
  try {
    return await connection.api.call('POST', '/api/v1/policy/lint', files);
  } catch (thrown) {
    if (toWritError(thrown).code === 'unreachable') return undefined;
    throw thrown;
  }
}

async function lintHere(
  context: CliContext,
  options: PolicyOptions,
): Promise<{ findings: readonly FindingValue[] }> {
  const files = await loadPolicyFiles(options.policies ?? context.policies);
  // Loaded only here: the compiler is big, and most commands need none.
  const { lintOffline } = await import('../../policy/lint-offline.ts');
  const findings = await lintOffline(files, Date.now());
  context.printError(
    'writ: no instance runs, so names of catalogs, tables and columns were not checked; the rest was',
  );
  return { findings };
}

async function plan({ api }: Connection, options: PolicyOptions): Promise<Answer> {
  const value = await api.call<PlanValue>('POST', '/api/v1/policy/plan', await filesOf(options));
  if (options.out !== undefined) writeFileSync(options.out, JSON.stringify(value, null, 2));
  return { value, text: formatPlan(value), exit: value.pending ? 2 : 0 };
}

async function apply(
  { api }: Connection,
  options: PolicyOptions,
  saved: string | undefined,
): Promise<Answer> {
  const body = saved === undefined ? await filesOf(options) : readPlan(saved);
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
  for (const change of value.changes) {
    const parts = [
      change.gains.length > 0 ? `gains ${change.gains.join(', ')}` : '',
      change.loses.length > 0 ? `loses ${change.loses.join(', ')}` : '',
      change.changes === undefined ? '' : `changes: ${change.changes.join(', ')}`,
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
  for (const reason of cluster.notEnforced) lines.push(`  not enforced: ${reason}`);
  for (const operation of cluster.operations) {
    lines.push(`  ${operation.words}`, ...operation.sql.split('\n').map((line) => `      ${line}`));
  }
  return lines;
}

async function filesOf(options: PolicyOptions): Promise<object> {
  return options.policies === undefined ? {} : { files: await loadPolicyFiles(options.policies) };
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
