#!/usr/bin/env node
import { realpathSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CliContext } from './cli/context.ts';
import { formatError } from './cli/output.ts';
import { runProgram } from './cli/program.ts';
import { processEnvironment, readSettings, type Settings } from './config/settings.ts';
import { toWritError, WritError } from './kernel/errors.ts';

// The executable `writ`: reads the settings and hands over to the command line. `writ dev` opens the rooms
// (main/dev.ts), loaded only then, so that small commands start fast.

async function main(): Promise<void> {
  const settings = usableSettings();
  if (settings === undefined) return;
  const context: CliContext = {
    home: settings.home,
    server: settings.server,
    policies: settings.policiesHere,
    print: (text) => process.stdout.write(text === '' ? '' : `${text}\n`),
    printError: (text) => process.stderr.write(`${text}\n`),
    exit: (code) => {
      process.exitCode = code;
    },
  };
  await runProgram(process.argv.slice(2), context, {
    dev: async () => (await import('./main/dev.ts')).runDev(settings),
    policyTest: async (request) => (await import('./main/policy-test.ts')).runPolicyTests(request),
    serve: async (file) => (await import('./main/serve.ts')).runServe(settings, file),
  });
}

/** Undefined after saying what is wrong with them: exit 64, like every other wrong word in a command. */
function usableSettings(): Settings | undefined {
  try {
    const settings = readSettings(processEnvironment(), process.cwd());
    if (statSync(settings.home, { throwIfNoEntry: false })?.isDirectory() === false)
      throw new WritError('invalid_config', {
        message: `WRIT_HOME is ${JSON.stringify(settings.home)}, which is a file`,
        hint: 'set WRIT_HOME to a folder, or to one that is not there yet',
      });
    return settings;
  } catch (thrown) {
    process.stderr.write(`${formatError(toWritError(thrown))}\n`);
    process.exitCode = 64;
    return undefined;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((thrown: unknown) => {
    process.stderr.write(`${formatError(toWritError(thrown))}\n`);
    process.exitCode = 1;
  });
}
