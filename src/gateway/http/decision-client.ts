import { formatDecision } from '../../kernel/decision.ts';
import { WritError } from '../../kernel/errors.ts';
import { operatorName, type PrincipalName } from '../../kernel/principal.ts';
import type { Caller } from '../../kernel/route.ts';
import { metastore } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';

export interface DecisionClientOptions {
  /** Principals that ask for an engine. They need no other right, and should hold none. */
  readonly named: ReadonlySet<PrincipalName>;
  /** `writ dev`: a client on this machine needs no token. */
  readonly trustLoopback: boolean;
}

interface Presented {
  readonly bearer: string | undefined;
  /** `?token=`: Trino's plugin sends no headers, but keeps what stands in its URLs. */
  readonly inUrl: string | undefined;
  readonly address: string;
}

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

/**
 * Who may ask what others may do: a principal that the configuration names, or whoever has MANAGE on the metastore.
 * Trino prints its URLs in errors that its users read, so a token in a URL must be worth nothing else: there only
 * named decision clients are let in, never somebody who administers.
 * @throws sign_in_refused, bad_credential, permission_denied
 */
export async function decisionClient(
  { bearer, inUrl, address }: Presented,
  authenticate: (token: string | undefined) => Promise<Caller>,
  {
    decisionClients,
    currentSnapshot,
  }: { decisionClients?: DecisionClientOptions; currentSnapshot: () => Snapshot },
): Promise<Caller> {
  const token = bearer ?? inUrl;
  if (token === undefined && decisionClients?.trustLoopback === true && loopback.has(address))
    return { principal: operatorName, credential: 'loopback', operator: false, address };
  const caller = await authenticate(token);
  if (decisionClients?.named.has(caller.principal) === true) return caller;
  const decision = currentSnapshot().decide(caller.principal, 'MANAGE', metastore);
  if (decision.effect === 'allow' && bearer !== undefined) return caller;
  throw new WritError('permission_denied', {
    message:
      decision.effect === 'allow'
        ? 'a token in a URL must be that of a decision client and of nobody who administers'
        : `${caller.principal} may not ask what others may do`,
    detail: formatDecision(decision),
    hint: 'name a service principal that has no other right as decision client',
  });
}
