import { z } from 'zod';
import { formatDecision } from '../kernel/decision.ts';
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
import { explain, whatCan, whoCan } from '../policy/explain.ts';
import { didYouMean } from '../policy/findings.ts';
import type { Snapshot } from '../policy/model.ts';
import type { InForce } from './in-force.ts';
import { iso, type Past, type PastSnapshot } from './past.ts';

// Questions to the policy in force, or to the one that was at a time: who may, why, and what.

const anything = z.unknown();
const mostItems = 1000;
const at = z.string().optional();
const limit = z.coerce.number().int().min(1).max(mostItems).default(mostItems);
const page = { after: z.string().optional(), limit };

export function policyQuestionRoutes(inForce: InForce, past: Past): readonly Route[] {
  return [explainRoute(inForce, past), whoCanRoute(inForce, past), whatCanRoute(inForce, past)];
}

function explainRoute(inForce: InForce, past: Past): Route {
  return route({
    method: 'post',
    path: '/api/v1/policy/explain',
    summary: 'Why a principal may or may not, now or at a time',
    input: z.object({ principal: z.string(), privilege: z.string(), securable: z.string(), at }),
    output: anything,
    requires: { kind: 'signed-in' },
    run: async (input, caller) => {
      const principal = parsePrincipalName(input.principal);
      onlyOwn(inForce, caller, principal);
      const on = parseSecurableName(input.securable);
      const privilege = parsePrivilege(input.privilege);
      const { snapshot, told } = await asked(inForce, past, input.at);
      const note = caller.principal === principal ? undefined : strangerNote(snapshot, principal);
      expectSecurable(snapshot, caller, on);
      const explained = explain(snapshot, principal, privilege, on);
      const lines = note === undefined ? explained.lines : [...explained.lines, `  ${note}`];
      return { ...explained.decision, ...told, note, text: lines.join('\n') };
    },
  });
}

function whoCanRoute(inForce: InForce, past: Past): Route {
  return route({
    method: 'post',
    path: '/api/v1/policy/who-can',
    summary: 'Everybody who holds a privilege on a securable, now or at a time',
    input: z.object({ privilege: z.string(), securable: z.string(), at, ...page }),
    output: anything,
    requires: {
      kind: 'privilege',
      privilege: 'MANAGE',
      on: (input) => parseSecurableName(input.securable),
    },
    run: async (input, caller) => {
      const on = parseSecurableName(input.securable);
      if (input.at !== undefined && !managesAll(inForce, caller)) throw notYourPast();
      const { snapshot, told } = await asked(inForce, past, input.at);
      expectSecurable(snapshot, caller, on);
      const after = input.after === undefined ? undefined : parsePrincipalName(input.after);
      const found = whoCan(snapshot, parsePrivilege(input.privilege), on, { after, limit: input.limit + 1 });
      const shown = found.slice(0, input.limit);
      return {
        principals: shown.map(({ principal }) => principal),
        items: shown.map(({ principal, decision }) => ({
          principal,
          because: decision.because,
          text: formatDecision(decision),
        })),
        ...nextOf(
          found,
          shown.map(({ principal }) => principal),
        ),
        ...told,
      };
    },
  });
}

function whatCanRoute(inForce: InForce, past: Past): Route {
  return route({
    method: 'post',
    path: '/api/v1/policy/what-can',
    summary: 'Every table and view on which a principal holds a privilege, now or at a time',
    input: z.object({ principal: z.string(), privilege: z.string(), at, ...page }),
    output: anything,
    requires: { kind: 'signed-in' },
    run: async (input, caller) => {
      const principal = parsePrincipalName(input.principal);
      onlyOwn(inForce, caller, principal);
      const { snapshot, told } = await asked(inForce, past, input.at);
      if (caller.principal !== principal) expectPrincipal(snapshot, principal);
      const privilege = parsePrivilege(input.privilege);
      const found = whatCan(snapshot, principal, privilege, {
        ...(input.after === undefined ? {} : { after: parseSecurableName(input.after) }),
        limit: input.limit + 1,
      });
      const items = found.slice(0, input.limit);
      return { items, ...nextOf(found, items), ...told };
    },
  });
}

/** `next` is what `after` must say for the rest; absent at the end. */
function nextOf(found: readonly unknown[], shown: readonly string[]): { next?: string } {
  const last = shown.at(-1);
  return found.length > shown.length && last !== undefined ? { next: last } : {};
}

/** The snapshot that is asked, and what the answer says of it. */
async function asked(
  inForce: InForce,
  past: Past,
  at: string | undefined,
): Promise<{ readonly snapshot: Snapshot; readonly told: object }> {
  if (at === undefined) return { snapshot: inForce.current(), told: {} };
  const found = await past.at(at);
  return { snapshot: found.snapshot, told: { asOf: asOf(found) } };
}

function asOf({ at, moment, expired }: PastSnapshot): object {
  return {
    at: iso(at),
    snapshot: moment.snapshot,
    since: iso(moment.since),
    until: moment.until === undefined ? undefined : iso(moment.until),
    appliedBy: moment.appliedBy,
    why: moment.why,
    source: moment.source,
    ...(expired ? { note: 'grants that had expired by then are left out' } : {}),
  };
}

function managesAll(inForce: InForce, caller: Caller): boolean {
  return inForce.current().decide(caller.principal, 'MANAGE', metastore).effect === 'allow';
}

function notYourPast(): WritError {
  return new WritError('permission_denied', {
    message: 'who could do what in the past is told to whoever manages the metastore',
    hint: 'about yourself you may ask: `writ policy explain` and `what-can` with --at',
  });
}

/** Everybody may ask about themselves; about others only who manages the metastore. */
function onlyOwn(inForce: InForce, caller: Caller, principal: string): void {
  if (caller.principal === principal || managesAll(inForce, caller)) return;
  throw new WritError('permission_denied', {
    message: 'you may ask about yourself only',
    hint: 'whoever manages the metastore may ask about others',
  });
}

/**
 * People need not be listed: who signs in one day is one of all users, and may be asked about before.
 * @returns what to say of somebody whom no file names and who never signed in. @throws not_found for a group or a program
 */
function strangerNote(snapshot: Snapshot, principal: PrincipalName): string | undefined {
  if (!principal.includes('@')) expectPrincipal(snapshot, principal);
  if (snapshot.principals.has(principal) || principal === operatorName) return undefined;
  return `no policy file names ${principal} and they never signed in${didYouMean(principal, snapshot.principals)}`;
}

/** @throws not_found for somebody whom no file names and who never signed in. */
function expectPrincipal(snapshot: Snapshot, principal: PrincipalName): void {
  if (snapshot.principals.has(principal) || principal === operatorName) return;
  const isGroup = [...snapshot.groups].some((group) => (group as string) === principal);
  throw new WritError('not_found', {
    message: isGroup
      ? `${principal} is a group: name one of its people`
      : `nobody is named ${principal}${didYouMean(principal, snapshot.principals)}`,
    ...(isGroup ? {} : { detail: 'no policy file names them and they never signed in' }),
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
