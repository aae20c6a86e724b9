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
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => {
      const columns = ['variable', 'default', 'meaning'];
      const rows = settingsTable.map(({ name, default: value, sentence }) => [name, value, sentence]);
      const short = rows.map(([name, ...rest]) =>
        name === 'WRIT_POLICIES' ? [name, 'policies/', ...rest.slice(1)] : [name, ...rest],
      );
      const values = rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
      context.print(options.json === true ? JSON.stringify(values, null, 2) : formatTable(columns, short));
    });
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
            ? `writ: ${file} cannot be read\n  do:  \`writ config example\` prints one to start from`
            : formatError(error),
        );
        context.exit(error.code === 'internal' ? 1 : exitOf(error.code));
      }
    });
}
