import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { tablesBeneath } from '../policy/tables-beneath.ts';
import type { Door } from './role-names.ts';
import type { Shape } from './shadow-names.ts';

// How a principal's statements reach one relation of a POSTGRES catalog. The reconciler grants by this value and the
// gateway rewrites by it, so that the two cannot disagree. Pure.

/** `base`: the application's own relation (gateway logins only); a shape: the shadow view of that shape; undefined: not at all. */
export type Target = 'base' | Shape | undefined;

export interface Reach {
  readonly read: Target;
  readonly insert: Target;
  /** UPDATE, DELETE, MERGE. */
  readonly write: Target;
}

const nothing: Reach = { read: undefined, insert: undefined, write: undefined };

/**
 * - no rules beneath: the base for gateway logins, a gated pass-through view (`governed`) for direct ones; views of the
 *   application always by a pass-through, which goes when somebody changes what they show;
 * - exempt from every rule: `clear` to read; exempt writers get the base through the gateway (COPY, ON CONFLICT);
 * - bound: `governed`; who is bound by a row filter inserts through `insert` and holds INSERT nowhere else.
 * Views are never written through us and never granted as they are when rules lie beneath them.
 */
export function reachOf(
  snapshot: Snapshot,
  principal: PrincipalName,
  table: SecurableName,
  door: Door,
): Reach {
  const info = snapshot.catalog.tables.get(table);
  if (info === undefined || snapshot.decide(principal, 'SELECT', table).effect === 'deny') return nothing;
  const beneath = tablesBeneath(snapshot, info);
  if (beneath === undefined) return nothing;
  const ruled = beneath.filter((name) => snapshot.tableRules(name) !== undefined);
  const isView = info.kind === 'VIEW' || info.kind === 'MATERIALIZED_VIEW';
  const writes = !isView && snapshot.decide(principal, 'MODIFY', table).effect === 'allow';
  const unruled: Target = door === 'gateway' && !isView ? 'base' : 'governed';
  if (ruled.length === 0) return all(unruled, writes);
  const bound = ruled.map((name) => snapshot.boundRules(principal, name));
  if (bound.every((rules) => rules.exemptFromAll))
    return all(writes && door === 'gateway' ? 'base' : 'clear', writes);
  const filtered = bound.some((rules) => rules.filters.length > 0);
  if (!writes) return { ...nothing, read: 'governed' };
  return { read: 'governed', write: 'governed', insert: filtered ? 'insert' : 'governed' };
}

function all(target: Target, writes: boolean): Reach {
  return { read: target, insert: writes ? target : undefined, write: writes ? target : undefined };
}
