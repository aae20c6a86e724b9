import type { Command } from 'commander';
import { type Api, openApi } from '../client/api.ts';
import { fetchDevToken } from '../client/dev-token.ts';
import { type Endpoints, readEndpoints, readOperatorToken } from '../client/endpoints.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import { type Answer, errorValue, exitOf, formatError } from './output.ts';

/** What every command gets: where the instance is, who acts, how to print. */
export interface CliContext {
  readonly home: string;
  readonly server: string | undefined;
  /** Folder of policy files, for what is checked without an instance. */
  readonly policies: string;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  readonly exit: (code: number) => void;
}

export interface Connection {
  readonly api: Api;
  readonly as: string | undefined;
  /** As named by --server or WRIT_SERVER; else the instance of WRIT_HOME is meant. */
  readonly server: string | undefined;
  readonly endpoints: () => Endpoints;
  readonly token: () => Promise<string>;
}

interface CommonOptions {
  readonly as?: string;
  readonly json?: boolean;
  readonly server?: string;
}

/** Adds the options that every client command takes. */
export function clientCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--as <principal>', 'act as this person (development identity provider only)')
    .option('--server <url>', 'the instance, instead of $WRIT_HOME/endpoints.json')
    .option('--json', 'print JSON');
}

/** The caller's identity: --as on the development provider, else the local operator. */
export function connect(context: CliContext, options: CommonOptions): Connection {
  const endpoints = () => readEndpoints(context.home);
  const server = serverOf(options.server ?? context.server);
  const elsewhere = server !== undefined && !isAt(context.home, server);
  if (elsewhere && options.as !== undefined) throw notElsewhere(context.home, server);
  const token = async () => {
    if (options.as !== undefined) return fetchDevToken(context.home, endpoints().issuer, options.as);
    // What opens this machine's instance is shown to no other server.
    const operator = elsewhere ? undefined : readOperatorToken(context.home);
    if (operator !== undefined) return operator;
    if (elsewhere) throw notElsewhere(context.home, server);
    throw new WritError('sign_in_refused', {
      message: 'nobody is signed in',
      detail: `${context.home}/operator-token cannot be read`,
      hint: 'name a person with --as EMAIL (development identity provider), or run as the owner of WRIT_HOME',
    });
  };
  return { api: openApi(() => server ?? endpoints().http, token), as: options.as, server, endpoints, token };
}

function serverOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url.origin;
  throw new WritError('invalid_argument', {
    message: `--server is ${JSON.stringify(text)}, expected a URL such as https://writ.example.com`,
  });
}

/** Whether the server is the instance whose home this is. */
function isAt(home: string, server: string): boolean {
  try {
    return new URL(readEndpoints(home).http).origin === server.replace('//localhost:', '//127.0.0.1:');
  } catch {
    return false;
  }
}

function notElsewhere(home: string, server: string): WritError {
  return new WritError('invalid_argument', {
    message: `nobody can be signed in at ${server} from here`,
    detail: `--as and the operator's token belong to the instance of ${home}, which is not at ${server}`,
    hint: "leave out --server (and WRIT_SERVER), or set WRIT_HOME to that instance's home",
  });
}

/** Runs one command: prints its answer, or its error as what, why, what to do; sets the exit code. */
export function action<Args extends readonly unknown[], Options extends object>(
  context: CliContext,
  run: (connection: Connection, options: Options, ...args: Args) => Promise<Answer>,
): (...values: unknown[]) => Promise<void> {
  return async (...values) => {
    const options = values.at(-2) as Options & CommonOptions;
    try {
      const answer = await run(
        connect(context, options),
        options,
        ...(values.slice(0, -2) as unknown as Args),
      );
      context.print(options.json === true ? JSON.stringify(answer.value, null, 2) : answer.text);
      context.exit(answer.exit ?? 0);
    } catch (thrown) {
      const error = toWritError(thrown);
      if (options.json === true) context.print(JSON.stringify(errorValue(error), null, 2));
      else context.printError(formatError(error));
      context.exit(exitOf(error.code));
    }
  };
}
