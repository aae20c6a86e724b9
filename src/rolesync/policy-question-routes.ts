import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import { operatorName, type PrincipalName, parsePrincipalName } from '../kernel/principal.ts';
import { type Privilege, parsePrivilege } from '../kernel/privilege.ts';
import { type Caller, type Route, route } from '../kernel/route.ts';
import {
  metastore,
  parseSecurableName,
  type SecurableName,
  withAncestors,
} from '../kernel/securable-name.ts';
import { levelOf, missingMessage } from '../policy/check-securables.ts';
import { explain, whoCan } from '../policy/explain.ts';
import { didYouMean } from '../policy/findings.ts';
import type { Snapshot } from '../policy/model.ts';
import type { InForce } from './in-force.ts';

// Questions to the policy in force: who may, why, and what.

const anything = z.unknown();

export function policyQuestionRoutes(inForce: InForce): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/policy/explain',
      summary: 'Why a principal may or may not',
      input: z.object({ principal: z.string(), privilege: z.string(), securable: z.string() }),
      output: anything,
      requires: { kind: 'signed-in' },
      run: async (input, caller) => {
        const principal = parsePrincipalName(input.principal);
        onlyOwn(inForce, caller, principal);
        const on = parseSecurableName(input.securable);
        const privilege = parsePrivilege(input.privilege);
        if (caller.principal !== principal) expectPrincipal(inForce.current(), principal);
        expectSecurable(inForce.current(), caller, on);
        const explained = explain(inForce.current(), principal, privilege, on);
        return { ...explained.decision, text: explained.lines.join('\n') };
      },
    }),
    route({
      method: 'post',
      path: '/api/v1/policy/who-can',
      summary: 'Everybody who holds a privilege on a securable',
      input: z.object({ privilege: z.string(), securable: z.string() }),
      output: anything,
      requires: {
        kind: 'privilege',
        privilege: 'MANAGE',
        on: (input) => parseSecurableName(input.securable),
      },
      run: async (input, caller) => {
        const on = parseSecurableName(input.securable);
        expectSecurable(inForce.current(), caller, on);
        const found = whoCan(inForce.current(), parsePrivilege(input.privilege), on);
        return { principals: found.map(({ principal }) => principal) };
      },
    }),
  ];
}

/** Everybody may ask about themselves; about others only who manages the metastore. */
function onlyOwn(inForce: InForce, caller: Caller, principal: string): void {
  if (
    caller.principal === principal ||
    inForce.current().decide(caller.principal, 'MANAGE', metastore).effect === 'allow'
  )
    return;
  throw new WritError('permission_denied', {
    message: 'you may ask about yourself only',
    hint: 'whoever manages the metastore may ask about others',
  });
}

/** @throws not_found for somebody whom no file names and who never signed in. */
function expectPrincipal(snapshot: Snapshot, principal: PrincipalName): void {
  if (snapshot.principals.has(principal) || principal === operatorName) return;
  const isGroup = [...snapshot.groups].some((group) => (group as string) === principal);
  throw new WritError('not_found', {
    message: isGroup
      ? `${principal} is a group: name one of its people`
      : `nobody is named ${principal}${didYouMean(principal, snapshot.principals)}`,
    detail: 'no policy file names them and they never signed in',
  });
}

/** What the Postgres door would tell the caller too; whoever may not enter the catalog learns nothing of its inside. */
function expectSecurable(snapshot: Snapshot, caller: Caller, on: SecurableName): void {
  if (levelOf(snapshot.catalog, on) !== undefined) return;
  const catalog = withAncestors(on).find((name) => snapshot.catalog.catalogs.has(name));
  const may = (privilege: Privilege, securable: SecurableName) =>
    snapshot.decide(caller.principal, privilege, securable).effect === 'allow';
  if (may('MANAGE', catalog ?? metastore))
    throw new WritError('not_found', { message: missingMessage(snapshot.catalog, on) });
  if (catalog === undefined || may('USE CATALOG', catalog))
    throw new WritError('not_found', { message: `there is no ${on}` });
}
