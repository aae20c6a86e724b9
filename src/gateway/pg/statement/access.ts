import type { TableInfo } from '../../../catalog/model.ts';
import { reachOf, type Target } from '../../../fleet/reach.ts';
import { shadowSchema } from '../../../fleet/shadow-names.ts';
import type { Privilege } from '../../../kernel/privilege.ts';
import { nameParts } from '../../../kernel/securable-name.ts';
import { tablesBeneath } from '../../../policy/tables-beneath.ts';
import type { StatementContext } from '../governed.ts';
import type { PartRecord } from './part.ts';
import { denied, type Problem, refused } from './problem.ts';

/** What a statement does to a relation. `write` is UPDATE, DELETE and MERGE. */
export type Need = 'read' | 'insert' | 'write';

export interface Access {
  readonly target: Exclude<Target, undefined>;
  /** Schema and name that are sent. */
  readonly sent: readonly [string, string];
}

const privilegeFor: Record<Need, Privilege> = { read: 'SELECT', insert: 'MODIFY', write: 'MODIFY' };

/** Decides one use of one relation, records it, and says where it is sent; undefined when it was refused. */
export function access(
  part: PartRecord,
  info: TableInfo,
  need: Need,
  at: number | undefined,
): Access | undefined {
  const { context } = part;
  part.table(info.name);
  const problem = accessProblem(context, info, need, at);
  if (problem !== undefined) {
    part.refuse(problem);
    return undefined;
  }
  const target = reachOf(context.snapshot, context.principal, info.name, 'gateway')[need];
  if (target === undefined) {
    part.refuse(unreachable(info, need, at));
    return undefined;
  }
  recordReasons(part, info, need);
  part.need({ table: info.name, privilege: privilegeFor[need], use: need, target });
  const [, schema = '', name = ''] = nameParts(info.name);
  return {
    target,
    sent: [target === 'base' ? schema : shadowSchema(schema, 'gateway', target), name],
  };
}

/** The gate that failed, if one did: SELECT first, because who may not see a table may not change it through us. */
export function accessProblem(
  context: StatementContext,
  info: TableInfo,
  need: Need,
  at: number | undefined,
): Problem | undefined {
  const { snapshot, principal } = context;
  const privileges: readonly Privilege[] = need === 'read' ? ['SELECT'] : ['SELECT', 'MODIFY'];
  for (const privilege of privileges) {
    const decision = snapshot.decide(principal, privilege, info.name);
    if (decision.effect === 'deny') return denied(snapshot, decision, wordFor(info), info.name, at);
  }
  return undefined;
}

function unreachable(info: TableInfo, need: Need, at: number | undefined): Problem {
  const isView = info.kind === 'VIEW' || info.kind === 'MATERIALIZED_VIEW';
  const name = nameParts(info.name).at(-1) ?? '';
  if (need !== 'read' && isView)
    return refused('refused_on_purpose', `${wordFor(info)} ${name} cannot be written through the gateway`, {
      detail: 'views are read only: the rules of the tables beneath decide about writing',
      on: info.name,
      at,
    });
  return refused('refused_on_purpose', `${wordFor(info)} ${name} cannot be governed`, {
    detail: 'what it reads is not known to the catalog, so the rules beneath it are not known either',
    on: info.name,
    at,
  });
}

/** Grants and rules that the use rests on. */
export function recordReasons(part: PartRecord, info: TableInfo, need: Need): void {
  const { snapshot, principal } = part.context;
  part.because(snapshot.decide(principal, 'SELECT', info.name).because);
  if (need !== 'read') part.because(snapshot.decide(principal, 'MODIFY', info.name).because);
  for (const table of tablesBeneath(snapshot, info) ?? [])
    if (snapshot.tableRules(table) !== undefined) part.because(snapshot.boundRules(principal, table).reasons);
}

function wordFor(info: TableInfo): string {
  switch (info.kind) {
    case 'VIEW':
      return 'view';
    case 'MATERIALIZED_VIEW':
      return 'materialized view';
    case 'FOREIGN_TABLE':
      return 'foreign table';
    default:
      return 'table';
  }
}
