import { formatDecision } from '../../kernel/decision.ts';
import { WritError } from '../../kernel/errors.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import type { Caller } from '../../kernel/route.ts';
import { metastore } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';
import { hashSecret, secretMatches } from '../identity/compact.ts';

export interface DecisionClientOptions {
  /** The decision token: it lets an engine ask, and is worth nothing else. At least 32 characters. */
  readonly token: string;
  /** `writ dev`: a client on this machine needs no token. */
  readonly trustLoopback: boolean;
}

interface Presented {
  readonly bearer: string | undefined;
  /** `?token=`: Trino's plugin sends no headers, but keeps what stands in its URLs. */
  readonly inUrl: string | undefined;
  readonly address: string;
  /** The headers of those names: a page in a browser on this machine sends its own. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

/** The name under which engines are recorded; no person has it, for it holds a space. */
const engine = 'decision client' as PrincipalName;

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

/** A page whose name was pointed at this machine (DNS rebinding) comes from loopback too, under its own name. */
function isEngineHere({ address, host, origin }: Presented): boolean {
  const named = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(host ?? '');
  return loopback.has(address) && named && origin === undefined;
}

/**
 * Who may ask what others may do: whoever shows the decision token, or signs in with MANAGE on the metastore.
 * Trino prints its URLs in errors that its users read, so nothing but the decision token is taken from a URL.
 * @throws permission_denied, and what `authenticate` throws
 */
export async function decisionClient(
  presented: Presented,
  authenticate: (token: string | undefined) => Promise<Caller>,
  options: {
    readonly decisionClients?: DecisionClientOptions;
    readonly currentSnapshot: () => Snapshot;
  },
): Promise<Caller> {
  const { bearer, inUrl, address } = presented;
  const { decisionClients, currentSnapshot } = options;
  const token = bearer ?? inUrl;
  const asEngine = (credential: string): Caller => ({
    principal: engine,
    credential,
    operator: false,
    address,
  });
  if (token === undefined && decisionClients?.trustLoopback === true && isEngineHere(presented))
    return asEngine('loopback');
  if (token !== undefined && decisionClients !== undefined && matches(token, decisionClients))
    return asEngine('decision-token');
  if (bearer === undefined && inUrl !== undefined)
    throw new WritError('permission_denied', {
      message: 'the token in the URL is not the decision token',
      hint: 'the instance keeps it in its home folder: decision-token',
    });
  const caller = await authenticate(bearer);
  const decision = currentSnapshot().decide(caller.principal, 'MANAGE', metastore);
  if (decision.effect === 'allow') return caller;
  throw new WritError('permission_denied', {
    message: `${caller.principal} may not ask what others may do`,
    detail: formatDecision(decision),
    hint: 'use the decision token: the instance keeps it in its home folder',
  });
}

function matches(token: string, { token: expected }: DecisionClientOptions): boolean {
  return secretMatches(token, hashSecret(expected));
}
