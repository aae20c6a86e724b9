import { realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Command } from 'commander';
import { WritError } from '../../kernel/errors.ts';
import { policyJsonSchema } from '../../policy/json-schema.ts';
import { loadPolicyFiles } from '../../policy/load.ts';
import { action, type CliContext } from '../context.ts';
import type { Answer } from '../output.ts';

export interface FolderOptions {
  readonly policies?: string;
}

/** Of commands that read the files themselves. */
export const filesHere = 'the files; by default $WRIT_POLICIES, or policies/ in the working folder';

/** Adds the option that names other files than the instance's own. */
export function withFolder(command: Command): Command {
  return command.option('--policies <folder>', "files to use instead of the instance's own folder");
}

/** fmt, schema: what needs the files alone. */
export function policyFileCommands(policy: Command, context: CliContext): void {
  policy
    .command('fmt')
    .description('write the files in one layout, needs no instance; exit 1 when a file is no YAML')
    .option('--policies <folder>', filesHere)
    .option('--check', 'change nothing, list what would change; exit 1 if anything would')
    .option('--json', 'print JSON')
    .action(action<[], FmtOptions>(context, (_connection, options) => fmt(context, options)));
  policy
    .command('schema')
    .description('print the JSON Schema of policy files, for editors')
    .option('--json', 'it is JSON either way')
    .action(() => context.print(JSON.stringify(policyJsonSchema(), null, 2)));
}

interface FmtOptions extends FolderOptions {
  readonly check?: boolean;
}

async function fmt(context: CliContext, options: FmtOptions): Promise<Answer> {
  const folder = options.policies ?? context.policies;
  const { formatPolicyText } = await import('../../policy/fmt.ts');
  const changed: string[] = [];
  const left: string[] = [];
  for (const { path, text } of await loadPolicyFiles(folder)) {
    const formatted = formatPolicyText(text);
    if ('problem' in formatted)
      left.push(`${path}:${formatted.line}:${formatted.column} left as it is: ${formatted.problem}`);
    else if (formatted.text !== text) {
      changed.push(path);
      if (options.check !== true) replaceFile(folder, path, formatted.text);
    }
  }
  const would = options.check === true ? 'would change' : 'formatted';
  const lines = [...changed.map((path) => `${path} ${would}`), ...left];
  const failed = left.length > 0 || (options.check === true && changed.length > 0);
  return {
    value: { changed, left },
    text: lines.length === 0 ? 'nothing to format' : lines.join('\n'),
    exit: failed ? 1 : 0,
  };
}

/**
 * As a whole or not at all; what a link points at is written, not the link.
 * @throws invalid_argument for a link that leads out of the folder
 */
function replaceFile(folder: string, path: string, text: string): void {
  const target = realpathSync(join(folder, path));
  if (!target.startsWith(`${realpathSync(folder)}${sep}`))
    throw new WritError('invalid_argument', {
      message: `${path} is a link out of the folder: it is not written`,
      hint: '`writ policy fmt --policies FOLDER` where the file is',
    });
  const draft = `${target}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, text, { mode: statSync(target).mode, flag: 'wx' });
  renameSync(draft, target);
}

/** The body of a request about the folder's files; empty: the instance's own. */
export async function filesOf(options: FolderOptions): Promise<object> {
  return options.policies === undefined ? {} : { files: await loadPolicyFiles(options.policies) };
}
