import type { Reason } from '../../../kernel/decision.ts';
import type { SecurableName } from '../../../kernel/securable-name.ts';
import { lastPart } from '../../../kernel/securable-name.ts';
import type { StatementContext } from '../governed.ts';
import { pgCatalogFunctions } from './pg-catalog-functions.ts';
import { denied, type Problem, refused } from './problem.ts';
import { closedSchema, isSystemSchema, otherCatalog, securableOf } from './resolve.ts';

// Which functions a statement may call. pg_catalog's may, but for those that run SQL text, change settings, or reach
// files, large objects and other sessions. The application's need EXECUTE. What is not known is refused.

type Closed = readonly [pattern: RegExp, why: string];

/** Refused as not supported (0A000): the text that they run would escape the walk over this statement. */
const runSqlText: readonly Closed[] = [
  [
    /^(query|table|cursor|schema|database)_to_xml(schema|_and_xmlschema)?$/,
    'it runs SQL text or reads tables by name',
  ],
  [/^ts_stat$/, 'it runs SQL text'],
  [/^(crosstab|crosstab[234n]|connectby|xpath_table)$/, 'it runs SQL text'],
  [/^dblink/, 'it connects to another server, or back to this one, as somebody else'],
  [/^pg_export_snapshot$/, "it hands this session's snapshot to others"],
];

/** Refused as a matter of rights (42501). */
const closed: readonly Closed[] = [
  [/^(lo_.*|loread|lowrite)$/, 'large objects lie outside all rules'],
  [/^pg_(read_|ls_|stat_file|file_|logdir_|current_logfile)/, 'it reads files of the server'],
  [
    /^pg_(logical_|replication_|create_.*_slot|drop_replication|copy_.*_slot|sync_replication)/,
    'it is for replication',
  ],
  [
    /^pg_(wal_|switch_wal|backup_|promote|create_restore|get_wal|walfile|is_wal|last_wal|last_xact|rotate|reload_conf)/,
    'it is for those who run the server',
  ],
  [/^pg_(terminate|cancel)_backend$/, 'sessions are ended by those who run the gateway'],
  [/^pg_(notify|listening_channels)$/, 'channels carry data past all rules'],
  [/^pg_(restore|clear)_.*_stats$/, 'it changes statistics'],
  [
    /^pg_(log_backend|stat_reset|stat_force|stat_statements|import_system|set_)/,
    'it is for those who run the server',
  ],
  [
    /^(pg_get_backend_memory_contexts|pg_show_all_file_settings|pg_hba_file_rules|pg_ident_file_mappings|pg_config)$/,
    'it shows how the server is set up',
  ],
  [/^(binary_upgrade_|pg_nextoid|pg_stop_making)/, 'it is for those who run the server'],
];

export interface CalledFunction {
  /** As written: one to three parts. */
  readonly parts: readonly string[];
  readonly at: number | undefined;
  readonly arguments: number;
}

export type FunctionVerdict =
  /** `name`: written back into the text; undefined: stays as it is. */
  | {
      readonly kind: 'allowed';
      readonly name?: readonly [string, string];
      readonly reasons: readonly Reason[];
    }
  | { readonly kind: 'set-config' }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** Decides one call. */
export function judgeFunction(context: StatementContext, call: CalledFunction): FunctionVerdict {
  const name = call.parts.at(-1) ?? '';
  const schema = call.parts.at(-2);
  const catalog = call.parts.at(-3);
  const problem =
    otherCatalog(context, { catalog, at: call.at }) ??
    (schema === undefined ? undefined : closedSchema(context, schema, call.at)) ??
    closedFunction(name, call);
  if (problem !== undefined) return { kind: 'problem', problem };
  if (name === 'set_config' && (schema === undefined || schema === 'pg_catalog'))
    return { kind: 'set-config' };
  if (schema !== undefined)
    return isSystemSchema(schema)
      ? allowedSystem(catalog, schema, name)
      : judgeApplication(context, securableOf(context.catalog, schema, name), schema, name, call);
  return judgeUnqualified(context, name, call);
}

function allowedSystem(catalog: string | undefined, schema: string, name: string): FunctionVerdict {
  return { kind: 'allowed', reasons: [], ...(catalog === undefined ? {} : { name: [schema, name] }) };
}

/** The application's function of that name along the search path, if there is one. */
export function applicationFunction(
  context: StatementContext,
  name: string,
): { securable: SecurableName; schema: string } | undefined {
  for (const schema of context.searchPath) {
    const securable = securableOf(context.catalog, schema, name);
    if (context.snapshot.catalog.functions.has(securable)) return { securable, schema };
  }
  return undefined;
}

/**
 * Postgres chooses among all functions of a name along the path by their arguments. Where the application overloads a
 * name of pg_catalog and the person may not call it, pg_catalog's is written out, so that no other can be chosen.
 */
function judgeUnqualified(context: StatementContext, name: string, call: CalledFunction): FunctionVerdict {
  const application = applicationFunction(context, name);
  const builtIn = pgCatalogFunctions.has(name);
  if (application === undefined) {
    if (builtIn) return { kind: 'allowed', reasons: [] };
    return { kind: 'problem', problem: unknownFunction(context, name, call) };
  }
  const verdict = judgeApplication(context, application.securable, application.schema, name, call);
  if (!builtIn) return verdict;
  return verdict.kind === 'allowed'
    ? { kind: 'allowed', reasons: verdict.reasons }
    : { kind: 'allowed', reasons: [], name: ['pg_catalog', name] };
}

function judgeApplication(
  context: StatementContext,
  securable: SecurableName,
  schema: string,
  name: string,
  call: CalledFunction,
): FunctionVerdict {
  if (!context.snapshot.catalog.functions.has(securable))
    return { kind: 'problem', problem: unknownFunction(context, `${schema}.${name}`, call) };
  const decision = context.snapshot.decide(context.principal, 'EXECUTE', securable);
  if (decision.effect === 'deny')
    return {
      kind: 'problem',
      problem: denied(context.snapshot, decision, 'function', securable, call.at),
    };
  return { kind: 'allowed', reasons: decision.because, name: [schema, name] };
}

/** `(x).name` calls a function of one argument when x has no such field. Undefined when nothing speaks against it. */
export function fieldProblem(
  context: StatementContext,
  name: string,
  at: number | undefined,
): Problem | undefined {
  const call = { parts: [name], at, arguments: 1 };
  const problem = closedFunction(name, call);
  if (problem !== undefined) return problem;
  const application = applicationFunction(context, name);
  if (application === undefined) return undefined;
  const verdict = judgeApplication(context, application.securable, application.schema, name, call);
  return verdict.kind === 'problem' ? verdict.problem : undefined;
}

function closedFunction(name: string, call: CalledFunction): Problem | undefined {
  const text = runSqlText.find(([pattern]) => pattern.test(name))?.[1];
  const rewrites = name === 'ts_rewrite' && call.arguments === 2 ? 'it runs SQL text' : undefined;
  const unsupported = text ?? rewrites;
  if (unsupported !== undefined)
    return refused('refused_on_purpose', `function ${name} is refused`, { detail: unsupported, at: call.at });
  if (!isSystemSchema(call.parts.at(-2) ?? 'pg_catalog')) return undefined;
  const why = closed.find(([pattern]) => pattern.test(name))?.[1];
  if (why === undefined) return undefined;
  return refused('permission_denied', `permission denied for function ${name}`, { detail: why, at: call.at });
}

function unknownFunction(context: StatementContext, name: string, call: CalledFunction): Problem {
  return refused('not_found', `function ${name} does not exist`, {
    sqlstate: '42883',
    detail: `neither pg_catalog nor the catalog ${lastPart(context.catalog)} is known to have it`,
    hint: 'Functions are read from the catalog; one made since the last discovery is not known yet.',
    at: call.at,
  });
}
