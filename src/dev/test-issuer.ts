import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { PrincipalName } from '../kernel/principal.ts';

// An identity provider for one run of tests, whose key dies with it: discovery and keys as any issuer has them, and
// tokens for whomever a test names. Only an instance that is configured to trust it does so.

export interface TestIssuer {
  readonly issuer: string;
  readonly audience: string;
  /** An access token, good for an hour: of a person by verified e-mail, of a service principal by its client id. */
  token(name: PrincipalName): Promise<string>;
  stop(): Promise<void>;
}

const audience = 'writ';

export async function startTestIssuer(): Promise<TestIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const server = createServer((request, response) => {
    const keys = { keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] };
    const document = { issuer: issuer(), jwks_uri: `${issuer()}/jwks` };
    const answer = { '/jwks': keys, '/.well-known/openid-configuration': document }[request.url ?? ''];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? {}));
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const address = server.address();
  const issuer = () => `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  return {
    issuer: issuer(),
    audience,
    token: (name) =>
      new SignJWT({ ...claimsOf(name), jti: randomUUID() })
        .setProtectedHeader({ typ: 'at+jwt', alg: 'ES256', kid })
        .setIssuer(issuer())
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function claimsOf(name: PrincipalName): Record<string, unknown> {
  return name.includes('@')
    ? { sub: `person:${name}`, client_id: 'writ-policy-test', email: name, email_verified: true }
    : { sub: name, client_id: name };
}
