#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CliContext } from './cli/context.ts';
import { formatError } from './cli/output.ts';
import { runProgram } from './cli/program.ts';
import { processEnvironment, readSettings } from './config/settings.ts';
import { toWritError } from './kernel/errors.ts';

// The executable `writ`: reads the settings and hands over to the command line. `writ dev` opens the rooms
// (main/dev.ts), loaded only then, so that small commands start fast.

async function main(): Promise<void> {
  const settings = readSettings(processEnvironment(), process.cwd());
  const context: CliContext = {
    home: settings.home,
    server: settings.server,
    print: (text) => process.stdout.write(text === '' ? '' : `${text}\n`),
    printError: (text) => process.stderr.write(`${text}\n`),
    exit: (code) => {
      process.exitCode = code;
    },
  };
  await runProgram(process.argv.slice(2), context, {
    dev: async () => (await import('./main/dev.ts')).runDev(settings),
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((thrown: unknown) => {
    process.stderr.write(`${formatError(toWritError(thrown))}\n`);
    process.exitCode = 1;
  });
}
