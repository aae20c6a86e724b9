import { isAbsolute, relative, sep } from 'node:path';
import { type Command, Option } from 'commander';
import { toWritError } from '../../kernel/errors.ts';
import { notChecked } from '../../policy/lint-rules.ts';
import { loadPolicyFiles } from '../../policy/load.ts';
import type { Finding } from '../../policy/model.ts';
import { sarifLog } from '../../policy/sarif.ts';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import { readCatalogFile } from '../files.ts';
import { type Answer, plural } from '../output.ts';
import { version } from '../version.ts';
import { type FolderOptions, filesOf, withFolder } from './policy-files.ts';

interface LintOptions extends FolderOptions {
  readonly catalog?: string;
  readonly format?: 'text' | 'json' | 'sarif';
  readonly all?: boolean;
}

interface Linted {
  readonly findings: readonly Finding[];
  /** Whether it was known which catalogs there are. */
  readonly catalog: boolean;
}

/** `writ policy lint`: asks the instance, or checks here against a saved catalog or none. */
export function policyLintCommand(policy: Command, context: CliContext): void {
  withFolder(clientCommand(policy, 'lint', 'check the files; exit 1 on errors and warnings'))
    .option('--catalog <file>', 'check against a catalog saved by `writ catalog export`, without an instance')
    .addOption(new Option('--format <format>', 'how to print').choices(['text', 'json', 'sarif']))
    .option('--all', 'print notes too')
    .action(action<[], LintOptions>(context, (connection, options) => lint(context, connection, options)));
}

async function lint(context: CliContext, connection: Connection, options: LintOptions): Promise<Answer> {
  const linted =
    options.catalog === undefined
      ? ((await lintThere(connection, options)) ?? (await lintHere(context, options)))
      : await lintAgainst(context, options, options.catalog);
  const { findings } = linted;
  const errors = findings.some((finding) => finding.severity === 'error');
  const left = notChecked({ catalog: linted.catalog, errors });
  const exit = findings.some((finding) => finding.severity !== 'note') ? 1 : 0;
  if (options.format === 'sarif') {
    const folder = folderIn(options.policies ?? context.policies);
    const value = sarifLog(findings, { version: version(), folder, notChecked: left });
    return { value, text: JSON.stringify(value, null, 2), exit };
  }
  const value = { findings, notChecked: left };
  if (options.format === 'json') return { value, text: JSON.stringify(value, null, 2), exit };
  sayWhatIsLeft(context, linted, errors, options);
  return { value, text: asText(findings, options), exit };
}

function asText(findings: readonly Finding[], { all }: LintOptions): string {
  const shown = findings.filter((finding) => all === true || finding.severity !== 'note');
  const lines = shown.map((f) => {
    const hint = f.hint === undefined ? '' : `\n    ${f.hint}`;
    return `${f.path}:${f.line}:${f.column} ${f.severity} ${f.rule} ${f.message}${hint}`;
  });
  return lines.length === 0 ? 'no findings' : lines.join('\n');
}

/** On stderr, so that what is on stdout is findings and nothing else. */
function sayWhatIsLeft(context: CliContext, linted: Linted, errors: boolean, options: LintOptions): void {
  if (!linted.catalog) {
    const left = notChecked({ catalog: false, errors: false }).join(', ');
    context.printError(
      `writ: no instance runs and no --catalog is given; these rules were not checked: ${left}`,
    );
  }
  if (errors) context.printError('writ: grants and masks as a whole are looked at once there are no errors');
  const notes = linted.findings.filter((finding) => finding.severity === 'note').length;
  if (notes > 0 && options.all !== true)
    context.printError(`writ: ${plural(notes, 'note')} not printed; --all prints them`);
}

/** @returns undefined when no instance runs that could say. */
async function lintThere(connection: Connection, options: LintOptions): Promise<Linted | undefined> {
  const files = await filesOf(options);
  const ask = async (): Promise<Linted> => {
    const { findings } = await connection.api.call<Linted>('POST', '/api/v1/policy/lint', files);
    return { findings, catalog: true };
  };
  if (connection.server !== undefined) return ask();
  try {
    connection.endpoints();
  } catch (thrown) {
    if (toWritError(thrown).code === 'not_found') return undefined;
    throw thrown;
  }
  try {
    return await ask();
  } catch (thrown) {
    if (toWritError(thrown).code === 'unreachable') return undefined;
    throw thrown;
  }
}

async function lintHere(context: CliContext, options: LintOptions): Promise<Linted> {
  const files = await loadPolicyFiles(options.policies ?? context.policies);
  // Loaded only here: the compiler is big, and most commands need none.
  const { lintWithoutCatalog } = await import('../../policy/lint.ts');
  return { findings: await lintWithoutCatalog(files, Date.now()), catalog: false };
}

async function lintAgainst(context: CliContext, options: LintOptions, file: string): Promise<Linted> {
  const catalog = readCatalogFile(file);
  const files = await loadPolicyFiles(options.policies ?? context.policies);
  const { lintPolicy } = await import('../../policy/lint.ts');
  return { findings: await lintPolicy(files, catalog, [], Date.now()), catalog: true };
}

/** Where the files are, seen from the working folder: review tools want paths of the repository. */
function folderIn(folder: string): string {
  const path = relative(process.cwd(), folder);
  return isAbsolute(path) || path.startsWith('..') ? '' : path.split(sep).join('/');
}
