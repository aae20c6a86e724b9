import type { Command } from 'commander';
import { policyJsonSchema } from '../../policy/json-schema.ts';
import { loadPolicyFiles } from '../../policy/load.ts';
import type { CliContext } from '../context.ts';

export interface FolderOptions {
  readonly policies?: string;
}

/** Adds the option that names other files than the instance's own. */
export function withFolder(command: Command): Command {
  return command.option('--policies <folder>', "files to use instead of the instance's own folder");
}

/** fmt, schema: what needs the files alone. */
export function policyFileCommands(policy: Command, context: CliContext): void {
  policy
    .command('schema')
    .description('print the JSON Schema of policy files, for editors')
    .action(() => context.print(JSON.stringify(policyJsonSchema(), null, 2)));
}

/** The body of a request about the folder's files; empty: the instance's own. */
export async function filesOf(options: FolderOptions): Promise<object> {
  return options.policies === undefined ? {} : { files: await loadPolicyFiles(options.policies) };
}
