import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WritError } from '../kernel/errors.ts';

// Every environment variable that Writ reads, with its default and a sentence; documentation and `writ doctor` print
// this table. `process.env` is read in this file and nowhere else (ARCHITECTURE.md, invariant 8).

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface Settings {
  /** Absolute path of the folder that holds all state. */
  readonly home: string;
  /** TCP ports on the loopback interface; 0 picks a free one. */
  readonly httpPort: number;
  readonly pgPort: number;
  readonly clusterPort: number;
  readonly idpPort: number;
  /** Absolute path of the folder of policy files. */
  readonly policies: string;
  /** The folder that commands about files look at: never the sample, which is nobody's to check or format unasked. */
  readonly policiesHere: string;
  /** Origin of the server that client commands talk to; undefined: the instance found through `home`. */
  readonly server: string | undefined;
  readonly logLevel: LogLevel;
  /** npm is our parent (`npm start`), by the variable that it gives to the scripts it runs. */
  readonly launchedByNpm: boolean;
}

/** The policy files that come with Writ: the sample company's. */
export const samplePolicies = fileURLToPath(new URL('../../policies', import.meta.url));

interface SettingRow {
  readonly name: `WRIT_${string}`;
  readonly default: string;
  readonly sentence: string;
}

export const settingsTable = [
  {
    name: 'WRIT_HOME',
    default: '.writ',
    sentence: 'Folder of all state of this instance, mode 0700; deleting it starts afresh.',
  },
  {
    name: 'WRIT_HTTP_PORT',
    default: '8080',
    sentence: 'Port of the HTTP API and the console; 0 picks a free one.',
  },
  {
    name: 'WRIT_PG_PORT',
    default: '6432',
    sentence: 'Port on which the gateway speaks the Postgres protocol; 0 picks a free one.',
  },
  {
    name: 'WRIT_CLUSTER_PORT',
    default: '5433',
    sentence: 'Port of the embedded Postgres cluster of `writ dev`; 0 picks a free one.',
  },
  {
    name: 'WRIT_IDP_PORT',
    default: '8081',
    sentence:
      'Port of the embedded identity provider of `writ dev`; 0 picks a free one, and tokens of earlier starts then stop working.',
  },
  {
    name: 'WRIT_POLICIES',
    default: samplePolicies,
    sentence:
      "Folder of policy files; by default policies/ in the working folder for commands, the sample company's for `writ dev`.",
  },
  {
    name: 'WRIT_SERVER',
    default: '',
    sentence:
      'URL of the server that client commands talk to; by default the instance whose home is WRIT_HOME.',
  },
  { name: 'WRIT_LOG_LEVEL', default: 'info', sentence: `How much is logged: ${logLevels.join(', ')}.` },
] as const satisfies readonly SettingRow[];

export type SettingName = (typeof settingsTable)[number]['name'];
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Settings from environment variables; an empty variable counts as absent. Relative paths are taken from `folder`.
 * @throws invalid_config naming the variable, its value and what it may be.
 */
export function readSettings(env: Environment, folder: string): Settings {
  const value = (name: SettingName): string => env[name]?.trim() || defaultOf(name);
  return {
    home: resolve(folder, value('WRIT_HOME')),
    httpPort: port('WRIT_HTTP_PORT', value('WRIT_HTTP_PORT')),
    pgPort: port('WRIT_PG_PORT', value('WRIT_PG_PORT')),
    clusterPort: port('WRIT_CLUSTER_PORT', value('WRIT_CLUSTER_PORT')),
    idpPort: port('WRIT_IDP_PORT', value('WRIT_IDP_PORT')),
    policies: resolve(folder, value('WRIT_POLICIES')),
    policiesHere: resolve(folder, env['WRIT_POLICIES']?.trim() || 'policies'),
    server: origin('WRIT_SERVER', value('WRIT_SERVER')),
    logLevel: logLevel(value('WRIT_LOG_LEVEL')),
    launchedByNpm: env['npm_lifecycle_event'] === 'start',
  };
}

/** This process's environment: the value to pass to `readSettings`, to references of `writ.yaml` and to child processes. */
export function processEnvironment(): Environment {
  return process.env;
}

function defaultOf(name: SettingName): string {
  return settingsTable.find((row) => row.name === name)?.default ?? '';
}

function port(name: SettingName, text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= 0 && number <= 65_535)) return refuse(name, text, 'a port from 0 to 65535');
  return number;
}

function origin(name: SettingName, text: string): string | undefined {
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const usable = url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:');
  return usable ? url.origin : refuse(name, text, 'a URL such as https://writ.example.com');
}

function logLevel(text: string): LogLevel {
  return (
    logLevels.find((level) => level === text) ??
    refuse('WRIT_LOG_LEVEL', text, `one of ${logLevels.join(', ')}`)
  );
}

function refuse(name: SettingName, text: string, expected: string): never {
  throw new WritError('invalid_config', {
    message: `${name} is ${JSON.stringify(text)}, expected ${expected}`,
    hint: `unset ${name} to use ${defaultOf(name) || 'the default'}`,
  });
}
