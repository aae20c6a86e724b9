import type { StatementContext } from '../governed.ts';
import { type Problem, refused } from './problem.ts';

// Which settings a person may set. Everything that parsing, name resolution, identity or row security depends on is
// fixed by the gateway; what is left changes output formats, time limits and plans of the person's own session.

const free: ReadonlySet<string> = new Set([
  'application_name',
  'array_nulls',
  'bytea_output',
  'client_connection_check_interval',
  'client_min_messages',
  'constraint_exclusion',
  'cursor_tuple_fraction',
  'datestyle',
  'default_statistics_target',
  'default_text_search_config',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'effective_cache_size',
  'effective_io_concurrency',
  'escape_string_warning',
  'extra_float_digits',
  'from_collapse_limit',
  'gin_fuzzy_search_limit',
  'hash_mem_multiplier',
  'icu_validation_level',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'intervalstyle',
  'jit',
  'join_collapse_limit',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'lock_timeout',
  'maintenance_work_mem',
  'max_parallel_workers_per_gather',
  'parallel_leader_participation',
  'parallel_setup_cost',
  'parallel_tuple_cost',
  'plan_cache_mode',
  'quote_all_identifiers',
  'random_page_cost',
  'recursive_worktable_factor',
  'seq_page_cost',
  'statement_timeout',
  'synchronous_commit',
  'temp_buffers',
  'timezone',
  'transaction_deferrable',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_timeout',
  'work_mem',
  'xmlbinary',
  'xmloption',
]);

/** Fixed by the gateway: setting them to what they are is let through, as drivers do it. */
const fixed: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['client_encoding', new Set(['utf8', 'utf-8', 'unicode'])],
  ['names', new Set(['utf8', 'utf-8', 'unicode'])],
  ['standard_conforming_strings', new Set(['on', 'true', '1', 'yes'])],
  ['backslash_quote', new Set(['safe_encoding'])],
  ['row_security', new Set(['on', 'true', '1', 'yes'])],
]);

const identity: ReadonlySet<string> = new Set(['role', 'session_authorization']);

/** What a SET asks for. `values` is undefined for DEFAULT and RESET. */
export interface SettingChange {
  readonly name: string;
  readonly values: readonly string[] | undefined;
  readonly at: number | undefined;
}

/** Why the change is refused; undefined when it may go through. Names are compared as Postgres does: without case. */
export function settingProblem(context: StatementContext, change: SettingChange): Problem | undefined {
  const name = change.name.toLowerCase();
  if (change.values === undefined && (identity.has(name) || fixed.has(name) || name === 'search_path'))
    return undefined;
  if (free.has(name) || /^(enable|geqo)(_|$)/.test(name)) return undefined;
  if (name === 'search_path') return searchPathProblem(context, change);
  const only = fixed.get(name);
  if (only !== undefined && change.values?.every((value) => only.has(value.toLowerCase()))) return undefined;
  return refused('permission_denied', `permission denied to set parameter "${name}"`, {
    detail: reasonFor(name),
    at: change.at,
  });
}

function reasonFor(name: string): string {
  if (identity.has(name)) return 'a session is the signed-in person and nobody else';
  if (fixed.has(name)) return `the gateway fixes ${name}, because parsing or policy depends on it`;
  if (name.includes('.')) return 'custom settings are not settable: identity never rides on a setting';
  return `${name} is not on the list of settings that may be set through the gateway`;
}

/** Names are resolved by the gateway; setting the path to what it is changes nothing. */
function searchPathProblem(context: StatementContext, change: SettingChange): Problem | undefined {
  const asked = (change.values ?? [])
    .flatMap((value) => value.split(',').map((part) => part.trim().replace(/^"(.*)"$/, '$1')))
    .filter((part) => part !== '$user' && part !== '');
  const same =
    asked.length === context.searchPath.length && asked.every((part, i) => part === context.searchPath[i]);
  if (same) return undefined;
  return refused('refused_on_purpose', 'search_path cannot be changed through the gateway', {
    detail: `names are resolved by the gateway along: ${context.searchPath.join(', ')}`,
    hint: 'Write the schema before the name.',
    at: change.at,
  });
}
