import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Door, listen, openDoor, outcome } from './fixture.ts';

// The certified provider that `writ dev` embeds: its tokens, its discovery document, its keys.

let provider: Provider;
let url: string;
let door: Door;

beforeEach(async () => {
  const server = createServer((request, response) => void provider.callback()(request, response));
  url = await listen(server);
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  provider = new Provider(url, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'idp-1', alg: 'RS256', use: 'sig' }] },
    clients: ['etl', 'stranger'].map((client_id) => ({
      client_id,
      client_secret: `${client_id}-secret-secret-secret-secret`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    extraTokenClaims: (_context, token) =>
      token.kind === 'AccessToken' ? { email: 'ana@acme.test', email_verified: true } : undefined,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:writ',
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid email',
          audience: 'writ',
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
        }),
      },
    },
  });
  door = openDoor([url]);
});

async function clientCredentials(client: string): Promise<string> {
  const response = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client}:${client}-secret-secret-secret-secret`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`no token: ${response.status}`);
  return token;
}

describe('with oidc-provider', () => {
  test('a client that the policy names signs in as that service principal', async () => {
    const token = await clientCredentials('etl');
    expect(await outcome(door, token, { user: 'etl' })).toBe('etl');
    expect(await outcome(door, token, { user: 'ana@acme.test' })).toMatch(/^28000: .*etl's/);
  });

  test('a client that the policy does not name is refused', async () => {
    expect(await outcome(door, await clientCredentials('stranger'))).toMatch(
      /^28000: .*no service principal "stranger"/,
    );
  });

  test('a person signs in with an access token for us', async () => {
    const client = await provider.Client.find('etl');
    if (client === undefined) throw new Error('no client');
    const grant = new provider.Grant({ accountId: 's-ana', clientId: 'etl' });
    const token = new provider.AccessToken({
      accountId: 's-ana',
      client,
      grantId: await grant.save(),
      gty: 'authorization_code',
      scope: 'openid email',
      claims: {},
      expiresWithSession: false,
    } as unknown as ConstructorParameters<Provider['AccessToken']>[0]);
    const server = { audience: 'writ', scope: 'openid email', accessTokenFormat: 'jwt', accessTokenTTL: 300 };
    token.resourceServer = new provider.ResourceServer('urn:writ', server as never);
    const text = await token.save();
    expect(await outcome(door, text, { user: 'ana@acme.test' })).toBe('ana@acme.test');
  });
});
