import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';

const answer = z.object({ access_token: z.string() });
const problem = z.object({ error: z.string(), hint: z.string().optional() });

/**
 * A token for anybody, from the development identity provider only: it hands them out to whoever can read
 * `$WRIT_HOME/idp/dev-secret` (mode 0600). No other provider has such a door.
 */
export async function fetchDevToken(home: string, issuer: string, as: string): Promise<string> {
  const url = new URL('dev/token', issuer.endsWith('/') ? issuer : `${issuer}/`);
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${readSecret(home)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ as }),
  }).catch((cause: unknown) => {
    throw new WritError('unreachable', {
      message: `no identity provider answers at ${issuer}`,
      hint: 'is the instance running? `npm start` starts one',
      cause,
    });
  });
  const text = await response.text();
  if (!response.ok) throw refusal(as, text);
  return answer.parse(JSON.parse(text)).access_token;
}

/** The provider's own words, where it has some. */
function refusal(as: string, text: string): WritError {
  const parsed = problem.safeParse(jsonOf(text));
  const { error, hint } = parsed.success ? parsed.data : { error: text.slice(0, 300), hint: undefined };
  return new WritError('sign_in_refused', {
    message: `the identity provider has no token for ${as}`,
    detail: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readSecret(home: string): string {
  try {
    return readFileSync(join(home, 'idp', 'dev-secret'), 'utf8').trim();
  } catch (cause) {
    throw new WritError('sign_in_refused', {
      message: '--as works with the development identity provider only',
      detail: `${join(home, 'idp', 'dev-secret')} cannot be read`,
      hint: 'run the command as the user who started `writ dev`, with the same WRIT_HOME; with a provider of your own, its token is the password of any Postgres client',
      cause,
    });
  }
}
