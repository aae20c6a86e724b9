import { Command, CommanderError } from 'commander';
import { auditCommands } from './commands/audit.ts';
import { configCommands } from './commands/config.ts';
import { inspectCommands } from './commands/inspect.ts';
import { policyCommands } from './commands/policy.ts';
import type { RunPolicyTests } from './commands/policy-test.ts';
import { signInCommands } from './commands/sign-in.ts';
import { syncCommands } from './commands/sync.ts';
import type { CliContext } from './context.ts';
import { version } from './version.ts';

/** What `main` adds: commands that run an instance. */
export interface InstanceCommands {
  /** Runs until it is told to stop. */
  readonly dev: () => Promise<void>;
  readonly policyTest: RunPolicyTests;
  /** @param file a writ.yaml */
  readonly serve: (file: string) => Promise<void>;
}

/** The whole command line. @returns when the command is done; usage errors exit 64. */
export async function runProgram(
  argv: readonly string[],
  context: CliContext,
  instance: InstanceCommands,
): Promise<void> {
  const program = new Command('writ')
    .description('One policy, enforced in every engine, for every client.')
    .version(version(), '--version', 'print the version')
    .showHelpAfterError()
    .exitOverride();
  program
    .command('dev')
    .description('start everything on this machine: Postgres, identity provider, lake, gateway')
    .action(instance.dev);
  program
    .command('serve')
    .description('serve the clusters, catalogs and issuers that a writ.yaml names')
    .requiredOption('-c, --config <file>', 'the writ.yaml; `writ config example` prints one to start from')
    .action((options: { config: string }) => instance.serve(options.config));
  signInCommands(program, context);
  policyCommands(program, context, instance.policyTest);
  syncCommands(program, context);
  inspectCommands(program, context);
  auditCommands(program, context);
  configCommands(program, context);
  inheritExit(program);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    context.exit(thrown.exitCode === 0 ? 0 : 64);
  }
}

/** Subcommands made before exitOverride would exit by themselves. */
function inheritExit(command: Command): void {
  for (const sub of command.commands) {
    sub.exitOverride().showHelpAfterError();
    inheritExit(sub);
  }
}
