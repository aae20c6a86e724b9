import type { Command } from 'commander';
import { WritError } from '../../kernel/errors.ts';

export interface AcceptOptions {
  readonly accept?: string;
}

/** Adds the option that does what a guard refuses. */
export function withAccept(command: Command): Command {
  return command.option(
    '--accept <what=number>',
    'do it although a guard refuses it: widened=41, the number that it named',
  );
}

/** Its part of a request's body. */
export function acceptOf({ accept }: AcceptOptions): object {
  if (accept === undefined) return {};
  const [, number] = /^widened=(\d{1,9})$/.exec(accept) ?? [];
  if (number !== undefined) return { accept: { widened: Number(number) } };
  throw new WritError('invalid_argument', {
    message: `--accept is ${JSON.stringify(accept)}, expected widened=NUMBER`,
    hint: 'the guard that refused names the number',
  });
}
