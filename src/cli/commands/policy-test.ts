import type { Command } from 'commander';
import type { CatalogSnapshot } from '../../catalog/model.ts';
import { catalogFromJson } from '../../catalog/snapshot-json.ts';
import { toWritError, WritError } from '../../kernel/errors.ts';
import { loadPolicyFiles } from '../../policy/load.ts';
import type { PolicyFile } from '../../policy/model.ts';
import { formatTestReport, passed, type TestReport } from '../../policy/test-report.ts';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import { readCatalogFile } from '../files.ts';
import type { Answer } from '../output.ts';
import { type FolderOptions, filesHere } from './policy-files.ts';

/** Runs tests on a scratch instance; given by `main`, which alone can make one. */
export type RunPolicyTests = (request: {
  readonly files: readonly PolicyFile[];
  readonly catalog: CatalogSnapshot;
}) => Promise<TestReport>;

interface TestOptions extends FolderOptions {
  readonly catalog?: string;
}

/** test: the tests and invariants of the files. */
export function policyTestCommand(policy: Command, context: CliContext, run: RunPolicyTests): void {
  clientCommand(policy, 'test', 'run the tests and prove the invariants of the files; exit 1 on findings')
    .option('--policies <folder>', filesHere)
    .option('--catalog <file>', 'a catalog saved by `writ catalog export`, instead of the running instance')
    .action(
      action<[], TestOptions>(context, (connection, options) => test(context, connection, options, run)),
    );
}

async function test(
  context: CliContext,
  connection: Connection,
  options: TestOptions,
  run: RunPolicyTests,
): Promise<Answer> {
  const files = await loadPolicyFiles(options.policies ?? context.policies);
  const report = await run({ files, catalog: await catalogOf(connection, options.catalog) });
  return { value: report, text: formatTestReport(report), exit: passed(report) ? 0 : 1 };
}

async function catalogOf(connection: Connection, file: string | undefined): Promise<CatalogSnapshot> {
  if (file !== undefined) return readCatalogFile(file);
  try {
    return catalogFromJson(await connection.api.call('GET', '/api/v1/catalog/export'));
  } catch (thrown) {
    const error = toWritError(thrown);
    if (error.code !== 'not_found' && error.code !== 'unreachable') throw error;
    throw new WritError('not_found', {
      message: 'the catalog is not known: no instance runs here, and no --catalog is given',
      detail: error.message,
      hint: 'start an instance, or keep its catalog beside the files: `writ catalog export --out catalog.json`, then `writ policy test --catalog catalog.json`',
    });
  }
}
