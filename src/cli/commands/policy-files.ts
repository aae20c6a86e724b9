import type { Command } from 'commander';
import { toWritError } from '../../kernel/errors.ts';
import { policyJsonSchema } from '../../policy/json-schema.ts';
import { loadPolicyFiles } from '../../policy/load.ts';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import type { Answer } from '../output.ts';

interface FindingValue {
  readonly severity: string;
  readonly rule: string;
  readonly message: string;
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly hint?: string;
}

export interface FolderOptions {
  readonly policies?: string;
}

/** Adds the option that names other files than the instance's own. */
export function withFolder(command: Command): Command {
  return command.option('--policies <folder>', "files to use instead of the instance's own folder");
}

/** lint, schema: what the files themselves say. */
export function policyFileCommands(policy: Command, context: CliContext): void {
  withFolder(clientCommand(policy, 'lint', 'check the files; exit 1 on findings')).action(
    action<[], FolderOptions>(context, (connection, options) => lint(context, connection, options)),
  );
  policy
    .command('schema')
    .description('print the JSON Schema of policy files, for editors')
    .action(() => context.print(JSON.stringify(policyJsonSchema(), null, 2)));
}

async function lint(context: CliContext, connection: Connection, options: FolderOptions): Promise<Answer> {
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
  options: FolderOptions,
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
  options: FolderOptions,
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

/** The body of a request about the folder's files; empty: the instance's own. */
export async function filesOf(options: FolderOptions): Promise<object> {
  return options.policies === undefined ? {} : { files: await loadPolicyFiles(options.policies) };
}
