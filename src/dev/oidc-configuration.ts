import type { Configuration, Grant, KoaContextWithOIDC } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import { personBySubject } from './company.ts';
import { personClaims, tokenAudience, tokenLifetime } from './dev-token.ts';
import type { IdentitySecrets } from './identity-keys.ts';
import { deviceCodePage, messagePage } from './sign-in-pages.ts';

/** The public client of `writ login`: code with PKCE to a loopback port of its choice, or the device flow. */
export const cliClient = 'writ-cli';

const resource = 'urn:writ:gateway';
const scopes = ['openid', 'email', 'profile', 'offline_access'];

/** Everything that oidc-provider is told. It mints what `mintDevToken` mints: RFC 9068 access tokens for `writ`. */
export function oidcConfiguration(secrets: IdentitySecrets): Configuration {
  const [access] = secrets.keys;
  return {
    adapter: createMemoryAdapter(),
    jwks: { keys: secrets.keys.map((key) => ({ ...key })) } as NonNullable<Configuration['jwks']>,
    cookies: { keys: [secrets.cookieSecret] },
    clients: clients(secrets.etlSecret),
    scopes,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    ttl: {
      ...{ AccessToken: tokenLifetime, ClientCredentials: tokenLifetime, IdToken: tokenLifetime },
      ...{ AuthorizationCode: 60, DeviceCode: 600, Interaction: 600 },
      ...{ RefreshToken: 86_400, Session: 86_400, Grant: 86_400 },
    },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    features: features(access.alg),
    async findAccount(_context, subject) {
      const person = personBySubject(subject);
      if (person === undefined) return undefined;
      return { accountId: subject, claims: async () => ({ sub: subject, ...personClaims(person) }) };
    },
    extraTokenClaims(_context, token) {
      const person = token.kind === 'AccessToken' ? personBySubject(token.accountId) : undefined;
      return person === undefined ? undefined : personClaims(person);
    },
    loadExistingGrant,
    clientBasedCORS: () => false,
    renderError(context, out) {
      context.type = 'html';
      context.body = messagePage('Sign-in failed', `${out.error}: ${out.error_description ?? ''}`);
    },
  };
}

function clients(etlSecret: string): NonNullable<Configuration['clients']> {
  return [
    {
      client_id: cliClient,
      client_name: 'Writ command line',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      // Any port of the loopback interface (RFC 8252, section 7.3).
      redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'http://localhost/callback'],
    },
    {
      client_id: 'etl',
      client_secret: etlSecret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  ];
}

function features(alg: string): NonNullable<Configuration['features']> {
  return {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true, allowedPolicy: () => true },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: '',
        audience: tokenAudience,
        accessTokenTTL: tokenLifetime,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: alg as 'ES256' } },
      }),
    },
    deviceFlow: {
      enabled: true,
      async userCodeInputSource(context, form, _out, error) {
        const text =
          error === undefined ? 'Enter the code that the terminal shows.' : 'Wrong code. Try again.';
        context.body = deviceCodePage(form, 'op.deviceInputForm', text);
      },
      async userCodeConfirmSource(context, form, _client, _device, code) {
        context.body = deviceCodePage(form, 'op.deviceConfirmForm', `Does the terminal show ${code}?`);
      },
      async successSource(context) {
        context.body = messagePage('Signed in', 'You may close this window.');
      },
    },
  };
}

// Nobody is asked for consent: the provider and the gateway belong to the same developer.
async function loadExistingGrant(context: KoaContextWithOIDC): Promise<Grant | undefined> {
  const { client, session, provider } = context.oidc;
  if (client === undefined || session?.accountId === undefined) return undefined;
  const known = session.grantIdFor(client.clientId);
  const existing = known === undefined ? undefined : await provider.Grant.find(known);
  if (existing !== undefined) return existing;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(scopes.join(' '));
  await grant.save();
  return grant;
}
