import { notInAllPrivileges, type Privilege } from '../kernel/privilege.ts';
import { metastore, nameParts, type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import type { PrincipalOrGroup } from './document.ts';

// What a decision asks, as a value: gates that must all open, and which rule opens which gate. The index, casbin's
// matcher and the hand-written oracle of the tests all answer this.

/** A gate is one privilege on one securable. */
export interface Gate {
  readonly privilege: Privilege;
  readonly on: SecurableName;
}

/** A grant of one privilege, or ownership, on one securable to one principal or group. */
export interface AccessRule {
  readonly subject: PrincipalOrGroup;
  readonly on: SecurableName;
  readonly act: Privilege | 'OWNER';
}

const ownDepth: Partial<Record<Privilege, number>> = { 'USE CATALOG': 1, 'USE SCHEMA': 2 };

/**
 * The gates of a privilege, in the order in which they are asked: USE CATALOG, USE SCHEMA, then the privilege itself.
 * A column is read through its table, USE … is asked of the catalog or schema that a name lies in; MODIFY needs SELECT, as in Unity Catalog; BROWSE needs nothing else.
 */
export function gatesOf(privilege: Privilege, on: SecurableName): readonly Gate[] {
  if (on === metastore) return [{ privilege, on }];
  const up = withAncestors(on);
  const at = Math.min(up.length - 1, ownDepth[privilege] ?? 3);
  const named = (wanted: number) => up[up.length - 1 - wanted] ?? on;
  const securable = named(at);
  if (privilege === 'BROWSE') return [{ privilege, on: securable }];
  const gates: Gate[] = [];
  const add = (gate: Privilege, wanted: number) => {
    const ownGate = at === wanted && (privilege === 'MANAGE' || privilege === gate);
    if (at >= wanted && !ownGate) gates.push({ privilege: gate, on: named(wanted) });
  };
  add('USE CATALOG', 1);
  add('USE SCHEMA', 2);
  if (privilege === 'MODIFY' && at === 3) gates.push({ privilege: 'SELECT', on: securable });
  gates.push({ privilege, on: securable });
  return gates;
}

const useOnly: ReadonlySet<Privilege> = new Set(['USE CATALOG', 'USE SCHEMA']);
const createOnly: ReadonlySet<Privilege> = new Set([
  'CREATE SCHEMA',
  'CREATE TABLE',
  'CREATE FUNCTION',
  'CREATE MATERIALIZED VIEW',
  'CREATE VOLUME',
  'CREATE MODEL',
]);

/** Depth of a securable: metastore 0, catalog 1, schema 2, table and its like 3. */
export function depth(on: SecurableName): number {
  if (on === metastore) return 0;
  if (on.includes('"')) return nameParts(on).length;
  let found = 1;
  for (let dot = on.indexOf('.'); dot >= 0; dot = on.indexOf('.', dot + 1)) found++;
  return found;
}

/**
 * Whether a rule at one depth opens a gate at the same depth or below. Depths only: that the rule's securable contains
 * the gate's is asked beforehand.
 *
 * - The metastore's grants are not inherited; who owns it manages everything below it.
 * - An owner of a container has MANAGE below it and may use it; data only on what is owned itself.
 * - ALL PRIVILEGES opens every gate but those that it excludes. MANAGE opens itself and BROWSE.
 * - Whoever holds a privilege on a thing may know that the thing exists.
 */
export function opens(
  act: AccessRule['act'],
  ruleDepth: number,
  gate: Privilege,
  gateDepth: number,
): boolean {
  if (act === 'OWNER') return ownerOpens(ruleDepth, gate, gateDepth);
  if (ruleDepth === 0 && gateDepth > 0) return false;
  if (act === gate) return true;
  if (gate === 'BROWSE') return showsExistence(act, ruleDepth, gateDepth);
  return act === 'ALL PRIVILEGES' && !notInAllPrivileges.has(gate);
}

function ownerOpens(ruleDepth: number, gate: Privilege, gateDepth: number): boolean {
  if (ruleDepth === gateDepth) return gate !== 'EXTERNAL USE SCHEMA' || gateDepth === 1;
  return gate === 'MANAGE' || gate === 'BROWSE' || useOnly.has(gate);
}

function showsExistence(act: Privilege, ruleDepth: number, gateDepth: number): boolean {
  if (ruleDepth === gateDepth) return true;
  if (createOnly.has(act)) return false;
  return useOnly.has(act) ? act === 'USE SCHEMA' && gateDepth === 2 : true;
}
