import { WritError } from '../../kernel/errors.ts';

// Settings a client may bring along in its startup packet. Whatever is not on the list is refused by name: forwarded, it
// could change who acts (`role`), what a name means or what a literal is; dropped silently, it would lie to the client.

const allowed: ReadonlySet<string> = new Set([
  'application_name',
  'array_nulls',
  'bytea_output',
  'client_connection_check_interval',
  'client_encoding',
  'client_min_messages',
  'constraint_exclusion',
  'cursor_tuple_fraction',
  'datestyle',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'enable_bitmapscan',
  'enable_hashagg',
  'enable_hashjoin',
  'enable_indexonlyscan',
  'enable_indexscan',
  'enable_material',
  'enable_memoize',
  'enable_mergejoin',
  'enable_nestloop',
  'enable_seqscan',
  'enable_sort',
  'extra_float_digits',
  'from_collapse_limit',
  'geqo',
  'geqo_threshold',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'intervalstyle',
  'jit',
  'join_collapse_limit',
  'lock_timeout',
  'plan_cache_mode',
  'random_page_cost',
  'search_path',
  'seq_page_cost',
  'standard_conforming_strings',
  'statement_timeout',
  'tcp_keepalives_count',
  'tcp_keepalives_idle',
  'tcp_keepalives_interval',
  'timezone',
  'transaction_timeout',
  'xmlbinary',
  'xmloption',
]);

/** Settings by which a session would become somebody else, or escape what holds it. */
const identity: ReadonlySet<string> = new Set([
  'role',
  'session_authorization',
  'row_security',
  'is_superuser',
]);

/** Names the parser and the resolver rely on; the door sets them itself. */
const setByTheDoor: ReadonlySet<string> = new Set([
  'client_encoding',
  'search_path',
  'standard_conforming_strings',
]);

/**
 * Holds one setting against the list. @returns the value as the session keeps it
 * @throws permission_denied (identity), refused_on_purpose (not on the list), bad_setting (encoding)
 */
export function checkSetting(name: string, value: string): string {
  if (identity.has(name)) {
    throw new WritError('permission_denied', {
      message: `permission denied to set parameter "${name}"`,
      detail: 'A session acts as the person who signed in.',
    });
  }
  if (!allowed.has(name)) {
    throw new WritError('refused_on_purpose', {
      message: `parameter "${name}" cannot be set at start-up through this gateway`,
      hint: 'Leave it out of the connection options.',
    });
  }
  if (name === 'client_encoding') return checkEncoding(value);
  if (name === 'search_path') checkSearchPath(parseSearchPath(value));
  if (name === 'standard_conforming_strings' && !/^(on|true|yes|1|t|y)$/i.test(value.trim())) {
    throw new WritError('refused_on_purpose', {
      message: 'parameter "standard_conforming_strings" must be on',
    });
  }
  return value;
}

/** Postgres compares encoding names by their letters and digits alone: `utf-8`, `UTF8`, `Unicode` are one. */
function checkEncoding(value: string): string {
  const cleaned = value.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  if (cleaned === 'utf8' || cleaned === 'unicode' || cleaned === 'sqlascii') return 'UTF8';
  throw new WritError('bad_setting', {
    message: `invalid value for parameter "client_encoding": "${value}"`,
    hint: 'This gateway speaks UTF8 only; drivers convert on their side.',
  });
}

function checkSearchPath(schemas: readonly string[]): void {
  const reserved = schemas.find((schema) => /^writ($|_)/.test(schema) || /^pg_(temp|toast)/.test(schema));
  if (reserved === undefined) return;
  throw new WritError('permission_denied', {
    message: `permission denied for schema ${reserved}`,
    detail: 'search_path names schemas of the application only.',
  });
}

/**
 * Schemas that unqualified names are looked up in, in order, as the application names them.
 * `settings` is what start-up accepted; without a search_path it is `public`, as Postgres' default is for people
 * without a schema of their own.
 */
export function applicationSearchPath(settings: ReadonlyMap<string, string>): readonly string[] {
  const value = settings.get('search_path');
  if (value === undefined) return ['public'];
  return parseSearchPath(value).filter((schema) => schema !== '$user' && schema !== '');
}

/** `a, "B c"` → ['a', 'B c']. @throws bad_setting */
export function parseSearchPath(value: string): readonly string[] {
  if (value.trim() === '') return [];
  const item = /\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(,|$)/y;
  const schemas: string[] = [];
  for (;;) {
    const match = item.exec(value);
    if (match === null) {
      throw new WritError('bad_setting', {
        message: `invalid value for parameter "search_path": "${value}"`,
      });
    }
    schemas.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : (match[2] ?? '').toLowerCase());
    if (match[3] === '') return schemas;
  }
}

/** As a value of search_path: every name quoted. */
export function formatSearchPath(schemas: readonly string[]): string {
  return schemas.map((schema) => `"${schema.replaceAll('"', '""')}"`).join(', ');
}

/** What the upstream gets of the session's settings; the door's own come on top. */
export function forwardedSettings(settings: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...settings].filter(([name]) => !setByTheDoor.has(name)));
}
