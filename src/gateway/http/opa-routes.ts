import { z } from 'zod';
import type { AuditLog } from '../../audit/log-interface.ts';
import { type Decision, formatReason } from '../../kernel/decision.ts';
import { WritError } from '../../kernel/errors.ts';
import { type Caller, type Route, route } from '../../kernel/route.ts';
import type { Snapshot } from '../../policy/model.ts';
import { trinoPrincipal } from '../../policy/trino/names.ts';
import { type TrinoRequest, type TrinoResource, trinoRequest } from '../../policy/trino/request.ts';
import { TrinoPolicy } from '../../policy/trino/trino-policy.ts';

// The decision API for Trino's OPA plugin. Every answer is explicit: the plugin reads an absent row filter or mask as none.

export interface OpaRouteOptions {
  readonly currentSnapshot: () => Snapshot;
  readonly audit: AuditLog;
}

const expression = z.object({ expression: z.string() });
const requires = { kind: 'decision-client' } as const;

export function opaRoutes(options: OpaRouteOptions): readonly Route[] {
  const policy = policyPerSnapshot(options.currentSnapshot);
  return [
    route({
      method: 'post',
      path: '/opa/v1/allow',
      summary: 'Trino: may this person do this?',
      input: trinoRequest,
      output: z.object({ result: z.boolean() }),
      requires,
      run: (request, caller) => allow(policy(), request, caller, options.audit),
    }),
    route({
      method: 'post',
      path: '/opa/v1/batch',
      summary: 'Trino: which of these may this person see? Positions of those kept',
      input: trinoRequest,
      output: z.object({ result: z.array(z.int()) }),
      requires,
      run: async ({ input: { context, action } }) => ({
        result: [...policy().filter(context.identity.user, action)],
      }),
    }),
    route({
      method: 'post',
      path: '/opa/v1/row-filters',
      summary: 'Trino: the filters of a table, all of which must hold',
      input: trinoRequest,
      output: z.object({ result: z.array(expression) }),
      requires,
      run: async ({ input: { context, action } }) => {
        expectOperation(action.operation, 'GetRowFilters');
        const filters = policy().rowFilters(context.identity.user, action);
        return { result: filters.map((text) => ({ expression: text })) };
      },
    }),
    columnMasks(policy),
  ];
}

function columnMasks(policy: () => TrinoPolicy): Route {
  return route({
    method: 'post',
    path: '/opa/v1/column-masks',
    summary: 'Trino: the masks of columns, of one (`resource`) or many (`filterResources`)',
    input: trinoRequest,
    output: z.object({
      result: z.union([
        expression.nullable(),
        z.array(z.object({ index: z.int(), viewExpression: expression })),
      ]),
    }),
    requires,
    run: async ({ input: { context, action } }) => {
      expectOperation(action.operation, 'GetColumnMask');
      const { filterResources, resource } = action;
      const columns = (filterResources ?? [resource]).map(columnOf);
      const masks = policy().columnMasks(context.identity.user, columns);
      if (filterResources === undefined) {
        const [mask] = masks;
        return { result: mask === undefined ? null : { expression: mask } };
      }
      return {
        result: masks.flatMap((mask, index) =>
          mask === undefined ? [] : [{ index, viewExpression: { expression: mask } }],
        ),
      };
    },
  });
}

function columnOf(resource: TrinoResource | undefined) {
  if (resource?.column !== undefined) return resource.column;
  throw new WritError('invalid_argument', { message: 'GetColumnMask: a resource without column' });
}

function expectOperation(operation: string, expected: string): void {
  if (operation !== expected)
    throw new WritError('invalid_argument', { message: `this path answers ${expected}, not ${operation}` });
}

function policyPerSnapshot(currentSnapshot: () => Snapshot): () => TrinoPolicy {
  let made: TrinoPolicy | undefined;
  return () => {
    const snapshot = currentSnapshot();
    if (made?.snapshot !== snapshot) made = new TrinoPolicy(snapshot);
    return made;
  };
}

/** A decision that is recorded is not answered before its record is written. @throws record_not_writable */
async function allow(policy: TrinoPolicy, request: TrinoRequest, caller: Caller, audit: AuditLog) {
  const { context, action } = request.input;
  const { decision, record } = policy.allow(context.identity.user, action);
  const result = decision.effect === 'allow';
  if (record === 'all' || (record === 'refusals' && !result))
    await audit.written(audit.append(eventOf(policy.snapshot, request, decision, caller)));
  return { result };
}

function eventOf(snapshot: Snapshot, { input }: TrinoRequest, decision: Decision, caller: Caller) {
  const { context, action } = input;
  const { user } = context.identity;
  const principal = trinoPrincipal(snapshot, user);
  const { catalog, tables, columns } = namedBy(action.resource ?? {});
  return {
    kind: 'decision',
    command: action.operation,
    tables,
    columns,
    decision: decision.effect,
    reasons: decision.because.map(formatReason),
    policyVersion: snapshot.id,
    credential: caller.credential,
    client: { address: caller.address, application: 'trino' },
    ...(catalog === undefined ? {} : { catalog }),
    ...(principal === undefined ? { message: `asked about ${JSON.stringify(user)}` } : { principal }),
    ...(context.queryId === undefined ? {} : { statementId: `trino:${context.queryId}` }),
  } as const;
}

/** What the resource names, for the record: in Trino's spelling, whether we know it or not. */
function namedBy({ catalog, schema, table, function: routine, ...other }: TrinoResource): {
  catalog: string | undefined;
  tables: readonly string[];
  columns: readonly string[];
} {
  if (table !== undefined) {
    const { catalogName, schemaName, tableName, columns = [] } = table;
    return { catalog: catalogName, tables: [`${catalogName}.${schemaName}.${tableName}`], columns };
  }
  const name =
    routine?.functionName ??
    other.systemSessionProperty?.name ??
    other.catalogSessionProperty?.propertyName ??
    other.user?.user;
  const place = schema ?? routine;
  const parts = [place?.catalogName ?? catalog?.name, place?.schemaName, name].filter(
    (part) => part !== undefined,
  );
  return {
    catalog: place?.catalogName ?? catalog?.name,
    tables: parts.length === 0 ? [] : [parts.join('.')],
    columns: [],
  };
}
