import { WritError } from '../../kernel/errors.ts';
import { checkSetting } from './settings.ts';

// Settings of a session that no Postgres stands behind. Rows are always UTC, ISO and UTF8; what would promise otherwise
// is refused, what changes nothing here is kept so that SHOW gives it back.

const defaults: ReadonlyMap<string, string> = new Map([
  ['application_name', ''],
  ['bytea_output', 'hex'],
  ['client_encoding', 'UTF8'],
  ['client_min_messages', 'notice'],
  ['datestyle', 'ISO, MDY'],
  ['default_transaction_isolation', 'read committed'],
  ['default_transaction_read_only', 'on'],
  ['extra_float_digits', '1'],
  ['in_hot_standby', 'off'],
  ['integer_datetimes', 'on'],
  ['intervalstyle', 'postgres'],
  ['is_superuser', 'off'],
  ['lc_collate', 'C'],
  ['lock_timeout', '0'],
  ['max_identifier_length', '63'],
  ['search_path', ''],
  ['server_encoding', 'UTF8'],
  ['server_version', '18.0'],
  ['server_version_num', '180000'],
  ['session_authorization', ''],
  ['standard_conforming_strings', 'on'],
  ['statement_timeout', '0'],
  ['timezone', 'UTC'],
  ['transaction_isolation', 'read committed'],
  ['transaction_read_only', 'on'],
]);

const fixed: ReadonlySet<string> = new Set([
  'in_hot_standby',
  'integer_datetimes',
  'lc_collate',
  'max_identifier_length',
  'search_path',
  'server_encoding',
  'server_version',
  'server_version_num',
]);

/** Spellings under which a setting is reported. */
const reported: ReadonlyMap<string, string> = new Map([['application_name', 'application_name']]);

export class LakeSettings {
  readonly #start: ReadonlyMap<string, string>;
  #values: Map<string, string>;

  /** @param given what start-up accepted; @param known what this session fixes: search_path, session_authorization */
  constructor(given: ReadonlyMap<string, string>, known: ReadonlyMap<string, string>) {
    this.#start = new Map([...defaults, ...given, ...known]);
    this.#values = new Map(this.#start);
  }

  /** @throws not_found */
  show(name: string): string {
    const value = this.#values.get(name.toLowerCase());
    if (value === undefined) {
      throw new WritError('not_found', { message: `unrecognized configuration parameter "${name}"` });
    }
    return value;
  }

  /**
   * `undefined` sets back to the start. @returns the ParameterStatus to send, if the setting is a reported one.
   * @throws refused_on_purpose, permission_denied, bad_setting
   */
  set(name: string, value: string | undefined): readonly [string, string] | undefined {
    const key = name.toLowerCase();
    const wanted = value ?? this.#start.get(key) ?? '';
    if (value !== undefined && wanted !== this.#values.get(key)) check(key, wanted);
    this.#values.set(key, wanted);
    const shown = reported.get(key);
    return shown === undefined ? undefined : [shown, wanted];
  }

  resetAll(): void {
    this.#values = new Map(this.#start);
  }

  /** Milliseconds; undefined: none. */
  statementTimeout(): number | undefined {
    const match = /^(\d+)\s*(ms|s|min|h)?$/.exec(this.#values.get('statement_timeout') ?? '0');
    const factors: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };
    const value = Number(match?.[1] ?? 0) * (factors[match?.[2] ?? 'ms'] ?? 1);
    return value > 0 ? value : undefined;
  }
}

function check(name: string, value: string): void {
  if (fixed.has(name)) refuse(name, 'it is fixed in lake and system catalogs');
  checkKnown(name, value);
  if (name === 'timezone' && !/^('?)(utc|gmt|etc\/utc|z|\+?0+)\1$/i.test(value))
    refuse(name, 'times are shown in UTC');
  if (name === 'datestyle' && !/^iso\b/i.test(value)) refuse(name, 'dates are shown as ISO');
  if (name === 'bytea_output' && value !== 'hex') refuse(name, 'bytes are shown as hex');
  if (name === 'intervalstyle' && value !== 'postgres')
    refuse(name, 'intervals are shown as Postgres shows them');
}

/** Start-up's list holds; what it says of start-up would mislead in a SET. */
function checkKnown(name: string, value: string): void {
  try {
    checkSetting(name, value);
  } catch (thrown) {
    const isUnlisted = thrown instanceof WritError && thrown.code === 'refused_on_purpose';
    if (!isUnlisted || defaults.has(name)) throw thrown;
    throw new WritError('refused_on_purpose', {
      message: `parameter "${name}" cannot be set in lake and system catalogs`,
      hint: "settings of the engine (memory, threads, folders) are the operator's",
    });
  }
}

function refuse(name: string, hint: string): never {
  throw new WritError('refused_on_purpose', {
    message: `parameter "${name}" cannot be changed to that value`,
    hint,
  });
}
