import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { settingsTable } from '../../config/settings.ts';
import { exampleYaml, parseWritYaml, writYamlJsonSchema } from '../../config/writ-yaml.ts';
import { toWritError } from '../../kernel/errors.ts';
import type { CliContext } from '../context.ts';
import { exitOf, formatError, formatTable } from '../output.ts';

/** config settings | schema | example | check: what is not policy, explained by the code that reads it. */
export function configCommands(program: Command, context: CliContext): void {
  const config = program
    .command('config')
    .description('settings and writ.yaml: everything that is not policy');
  config
    .command('settings')
    .description('environment variables, their defaults and what they mean')
    .action(() =>
      context.print(
        formatTable(
          ['variable', 'default', 'meaning'],
          settingsTable.map((row) => [
            row.name,
            row.name === 'WRIT_POLICIES' ? 'policies/' : row.default,
            row.sentence,
          ]),
        ),
      ),
    );
  config
    .command('schema')
    .description('JSON Schema of writ.yaml, for editors')
    .action(() => context.print(JSON.stringify(writYamlJsonSchema(), null, 2)));
  config
    .command('example')
    .description('a writ.yaml to start from')
    .action(() => context.print(exampleYaml.trimEnd()));
  config
    .command('check <file>')
    .description('check a writ.yaml; exit 1 with file, line and column of every error')
    .action((file: string) => {
      try {
        parseWritYaml(readFileSync(file, 'utf8'), file);
        context.print(`${file} is fine`);
      } catch (thrown) {
        const error = toWritError(thrown);
        context.printError(
          error.code === 'internal'
            ? `writ: cannot read ${file}: ${String(error.cause)}`
            : formatError(error),
        );
        context.exit(error.code === 'internal' ? 1 : exitOf(error.code));
      }
    });
}
