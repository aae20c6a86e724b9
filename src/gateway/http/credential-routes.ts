import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { AuditLog } from '../../audit/log-interface.ts';
import type { CredentialRecord } from '../../catalog/model.ts';
import type { CatalogStore } from '../../catalog/store.ts';
import type { DirectCredentials } from '../../fleet/logins.ts';
import type { Clock } from '../../kernel/clock.ts';
import { WritError } from '../../kernel/errors.ts';
import { type Caller, type Route, route } from '../../kernel/route.ts';
import { metastore, parseSecurableName, type SecurableName } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';
import { lifetimeSeconds } from './credential-lifetime.ts';

// `/api/v1/credentials`: short-lived passwords for a catalog, through the gateway or to the cluster itself.

export interface CredentialRouteOptions {
  readonly store: CatalogStore;
  readonly currentSnapshot: () => Snapshot;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Host and port of the gateway's Postgres door. */
  readonly door: () => { host: string; port: number };
  readonly issueCompact: (request: {
    principal: Caller['principal'];
    catalog: SecurableName;
    expiresAt: number;
    purpose?: string;
    ticket?: string;
  }) => { id: string; password: string };
  readonly direct: DirectCredentials;
  /** Ways around the policy that are open to a login of ours: while there are any, direct credentials are refused. */
  readonly openPaths: (catalog: SecurableName) => Promise<readonly string[]>;
  readonly onRevoked: (credential: CredentialRecord) => void;
  readonly ensurePrincipal: (principal: Caller['principal']) => Promise<void>;
}

const issueInput = z.object({
  catalog: z.string(),
  direct: z.boolean().default(false),
  lifetimeSeconds: z.number().int().min(1).optional(),
  purpose: z.string().max(500).optional(),
  ticket: z.string().max(100).optional(),
});

const credentialValue = z.object({
  id: z.string(),
  host: z.string(),
  port: z.number(),
  database: z.string(),
  user: z.string(),
  password: z.string(),
  expiresAt: z.string(),
});

export function credentialRoutes(options: CredentialRouteOptions): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/credentials',
      summary: 'Issue a short-lived credential for a catalog',
      input: issueInput,
      output: credentialValue,
      requires: {
        kind: 'privilege',
        privilege: 'USE CATALOG',
        on: (input) => parseSecurableName(input.catalog),
      },
      run: (input, caller) => issue(options, input, caller),
    }),
    route({
      method: 'get',
      path: '/api/v1/credentials',
      summary: 'Live credentials: your own, or all for who manages the metastore',
      input: z.object({}),
      output: z.unknown(),
      requires: { kind: 'signed-in' },
      run: async (_input, caller) => {
        const filter = managesAll(options, caller) ? {} : { principal: caller.principal };
        const live = options.store.credentials({ ...filter, live: options.clock.now() });
        return { credentials: live.map(publicPart) };
      },
    }),
    route({
      method: 'delete',
      path: '/api/v1/credentials/{id}',
      summary: 'Revoke a credential; its sessions end',
      input: z.object({ id: z.string() }),
      output: z.unknown(),
      requires: { kind: 'signed-in' },
      run: (input, caller) => revoke(options, input.id, caller),
    }),
  ];
}

async function issue(
  options: CredentialRouteOptions,
  input: z.infer<typeof issueInput>,
  caller: Caller,
): Promise<z.infer<typeof credentialValue>> {
  const catalog = parseSecurableName(input.catalog);
  const info = options.currentSnapshot().catalog.catalogs.get(catalog);
  if (info === undefined)
    throw new WritError('no_such_catalog', { message: `catalog ${catalog} does not exist` });
  const expiresAt = options.clock.now() + lifetime(input) * 1000;
  const why = {
    ...(input.purpose === undefined ? {} : { purpose: input.purpose }),
    ...(input.ticket === undefined ? {} : { ticket: input.ticket }),
  };
  await options.ensurePrincipal(caller.principal);
  const place = input.direct
    ? await issueDirect(options, { catalog, kind: info.kind, caller, expiresAt, why })
    : issueForDoor(options, { catalog, caller, expiresAt, why });
  try {
    recordIssue(options, caller, {
      catalog,
      direct: input.direct,
      expiresAt,
      ...why,
      credentialId: place.id,
    });
  } catch (unrecorded) {
    // What is not on record must not be usable, also where nobody has seen its password.
    await endCredential(options, place.id);
    throw unrecorded;
  }
  return { ...place, expiresAt: new Date(expiresAt).toISOString() };
}

/** Written before the answer leaves. @throws record_not_writable */
function recordIssue(
  { audit }: CredentialRouteOptions,
  caller: Caller,
  what: {
    readonly catalog: SecurableName;
    readonly credentialId: string;
    readonly direct: boolean;
    readonly expiresAt: number;
    readonly purpose?: string;
    readonly ticket?: string;
  },
): void {
  audit.append({
    kind: 'credential.issue',
    principal: caller.principal,
    credential: caller.credential,
    decision: 'allow',
    client: { address: caller.address, application: 'http' },
    ...what,
  });
  audit.flush();
}

type Place = Omit<z.infer<typeof credentialValue>, 'expiresAt'>;
interface Request {
  readonly catalog: SecurableName;
  readonly caller: Caller;
  readonly expiresAt: number;
  readonly why: { purpose?: string; ticket?: string };
}

function issueForDoor(options: CredentialRouteOptions, { catalog, caller, expiresAt, why }: Request): Place {
  const { id, password } = options.issueCompact({ principal: caller.principal, catalog, expiresAt, ...why });
  return { id, ...options.door(), database: catalog, user: caller.principal, password };
}

async function issueDirect(
  options: CredentialRouteOptions,
  request: Request & { kind: string },
): Promise<Place> {
  const { catalog, caller, expiresAt, why } = request;
  if (request.kind !== 'POSTGRES') {
    throw new WritError('refused_on_purpose', {
      message: `${catalog} has no server of its own to connect to`,
      hint: 'leave out --direct',
    });
  }
  const open = await options.openPaths(catalog);
  if (open.length > 0) {
    throw new WritError('refused_on_purpose', {
      message: `direct credentials for ${catalog} are refused: the cluster has ways around the policy`,
      detail: open.join('; '),
      hint: 'close them with `writ cluster harden --apply`, or accept each by name with `writ cluster harden --accept ID`',
    });
  }
  const id = randomUUID().replaceAll('-', '').slice(0, 22);
  const made = await options.direct.issue({ id, principal: caller.principal, catalog, expiresAt });
  options.store.putCredential({
    id,
    secretHash: '',
    principal: caller.principal,
    catalog,
    direct: true,
    login: made.user,
    issuedAt: options.clock.now(),
    expiresAt,
    ...why,
  });
  return {
    id,
    host: made.host,
    port: made.port,
    database: made.database,
    user: made.user,
    password: made.password,
  };
}

function lifetime(input: z.infer<typeof issueInput>): number {
  const most = input.direct ? lifetimeSeconds.directMost : lifetimeSeconds.most;
  const asked =
    input.lifetimeSeconds ?? (input.direct ? lifetimeSeconds.directDefault : lifetimeSeconds.default);
  if (asked > most)
    throw new WritError('invalid_argument', {
      message: `a ${input.direct ? 'direct ' : ''}credential lives ${most} seconds at most`,
    });
  return asked;
}

async function revoke(options: CredentialRouteOptions, id: string, caller: Caller): Promise<object> {
  const credential = options.store.credential(id);
  if (
    credential === undefined ||
    (credential.principal !== caller.principal && !managesAll(options, caller))
  ) {
    throw new WritError('not_found', {
      message: `no credential ${id} of yours`,
      hint: '`writ credentials-ls` lists them',
    });
  }
  // First what narrows, then the record of it: a log that cannot be written keeps nobody connected.
  await endCredential(options, id);
  options.audit.append({
    kind: 'credential.revoke',
    principal: caller.principal,
    credential: caller.credential,
    catalog: credential.catalog,
    credentialId: id,
    direct: credential.direct,
  });
  return { id, revoked: true };
}

/** The credential, its sessions and, for a direct one, its login. */
async function endCredential(options: CredentialRouteOptions, id: string): Promise<void> {
  const credential = options.store.credential(id);
  if (credential === undefined) return;
  options.store.revokeCredential(id, options.clock.now());
  options.onRevoked(credential);
  if (credential.login !== undefined) await options.direct.revoke(credential.login, credential.catalog);
}

function managesAll(options: CredentialRouteOptions, caller: Caller): boolean {
  return options.currentSnapshot().decide(caller.principal, 'MANAGE', metastore).effect === 'allow';
}

function publicPart(credential: CredentialRecord): object {
  const { secretHash: _hash, issuedAt, expiresAt, ...rest } = credential;
  return {
    ...rest,
    issuedAt: new Date(issuedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  };
}
