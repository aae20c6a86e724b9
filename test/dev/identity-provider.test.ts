import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { people } from '../../src/dev/company.ts';
import { type IdentityProvider, startIdentityProvider } from '../../src/dev/identity-provider.ts';

const home = mkdtempSync(join(tmpdir(), 'writ-idp-'));
const printed = [
  vi.spyOn(console, 'warn'),
  vi.spyOn(console, 'info'),
  vi.spyOn(console, 'log'),
  vi.spyOn(console, 'error'),
];
let idp: IdentityProvider;

beforeAll(async () => {
  idp = await startIdentityProvider({ home, port: 0, now: Date.now });
});
afterAll(async () => {
  await idp.stop();
  rmSync(home, { recursive: true });
});

async function verified(token: string, at: IdentityProvider = idp): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(at.jwksUri));
  const { payload } = await jwtVerify(token, keys, { issuer: at.issuer, audience: 'writ', typ: 'at+jwt' });
  return payload;
}

const ana = {
  sub: 'acme-1001',
  client_id: 'writ-cli',
  email: 'ana@acme.test',
  email_verified: true,
  aud: 'writ',
  jti: expect.any(String),
  iat: expect.any(Number),
  exp: expect.any(Number),
};

async function client(id: string, secret?: string): Promise<oidc.Configuration> {
  return oidc.discovery(new URL(idp.issuer), id, secret, secret === undefined ? oidc.None() : undefined, {
    execute: [oidc.allowInsecureRequests],
  });
}

/** A browser: keeps cookies, follows redirects until one leaves the provider, chooses ana where asked. */
async function browse(start: URL | string, answer: Record<string, string>): Promise<string> {
  const cookies = new Map<string, string>();
  let [url, body]: [string, URLSearchParams | undefined] = [String(start), undefined];
  for (let step = 0; step < 20; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie },
      ...(body === undefined ? {} : { method: 'POST', body }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
    body = undefined;
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url).href;
      if (!url.startsWith(idp.issuer)) return url;
      continue;
    }
    const page = await response.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    if (action === undefined) return page;
    const hidden = [...page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([tag]) => tag);
    body = new URLSearchParams(answer);
    for (const tag of hidden)
      body.set(/name="([^"]+)"/.exec(tag)?.[1] ?? '', /value="([^"]*)"/.exec(tag)?.[1] ?? '');
    url = new URL(action, url).href;
  }
  throw new Error('too many steps');
}

describe('development tokens', () => {
  it('verify against the published keys, and say who by subject and e-mail', async () => {
    const token = await idp.mintDevToken({ as: 'ana@acme.test' });
    expect(await verified(token)).toMatchObject(ana);
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
  });

  it('exist for everybody, each with a subject of their own that is not the e-mail', async () => {
    const payloads = await Promise.all(
      people.map(async ({ email }) => verified(await idp.mintDevToken({ as: email }))),
    );
    expect(new Set(payloads.map(({ sub }) => sub)).size).toBe(people.length);
    expect(payloads.every(({ sub, email }) => sub !== email)).toBe(true);
  });

  it('name a service principal by its client id, without an e-mail', async () => {
    const payload = await verified(await idp.mintDevToken({ as: 'etl' }));
    expect(payload).toMatchObject({ sub: 'etl', client_id: 'etl' });
    expect(payload).not.toHaveProperty('email');
  });

  it('can be expired or for somebody else, for tests', async () => {
    const expired = await idp.mintDevToken({ as: 'ana@acme.test', expiresIn: -60 });
    await expect(verified(expired)).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' });
    const other = await idp.mintDevToken({ as: 'ana@acme.test', audience: 'elsewhere' });
    await expect(verified(other)).rejects.toMatchObject({ code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
  });

  it('are given for the dev secret only', async () => {
    const secret = readFileSync(join(home, 'idp', 'dev-secret'), 'utf8').trim();
    const ask = (bearer: string, body: unknown): Promise<Response> =>
      fetch(`${idp.issuer}/dev/token`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const good = await ask(secret, { as: 'ana@acme.test', expires_in: 60 });
    const { access_token: token } = (await good.json()) as { access_token: string };
    expect(await verified(token)).toMatchObject(ana);
    expect((await ask('wrong', { as: 'ana@acme.test' })).status).toBe(401);
    expect((await ask('', { as: 'ana@acme.test' })).status).toBe(401);
    expect((await ask(secret, { as: 'mallory@acme.test' })).status).toBe(404);
    expect((await ask(secret, { as: 1 })).status).toBe(400);
    expect((await ask(secret, { as: 'x'.repeat(20_000) })).status).toBe(413);
  });
});

describe('standard flows', () => {
  it('sign in with a browser, PKCE and a loopback port of the client', async () => {
    const config = await client('writ-cli');
    const verifier = oidc.randomPKCECodeVerifier();
    const redirect = 'http://127.0.0.1:53682/callback';
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: redirect,
      scope: 'openid email',
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: 'xyz',
    });
    const back = await browse(url, { sub: 'acme-1001' });
    expect(back.startsWith(redirect)).toBe(true);
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back), {
      pkceCodeVerifier: verifier,
      expectedState: 'xyz',
    });
    expect(await verified(tokens.access_token)).toMatchObject(ana);
    expect(tokens.claims()).toMatchObject({ sub: 'acme-1001', email: 'ana@acme.test' });
  });

  it('refuse a sign-in without PKCE', async () => {
    const url = `${idp.issuer}/auth?client_id=writ-cli&response_type=code&scope=openid&redirect_uri=${encodeURIComponent('http://127.0.0.1:1/callback')}`;
    expect(await browse(url, {})).toContain('error=invalid_request');
  });

  it('sign in on a device', async () => {
    const config = await client('writ-cli');
    const device = await oidc.initiateDeviceAuthorization(config, { scope: 'openid email' });
    const page = await browse(device.verification_uri_complete ?? '', { sub: 'acme-1001', confirm: 'yes' });
    expect(page).toContain('Signed in');
    const tokens = await oidc.pollDeviceAuthorizationGrant(config, { ...device, interval: 0.01 });
    expect(await verified(tokens.access_token)).toMatchObject(ana);
  });

  it('let a service principal in by its secret', async () => {
    const secret = readFileSync(join(home, 'idp', 'etl-secret'), 'utf8').trim();
    const tokens = await oidc.clientCredentialsGrant(await client('etl', secret));
    expect(await verified(tokens.access_token)).toMatchObject({ sub: 'etl', client_id: 'etl', aud: 'writ' });
    await expect(oidc.clientCredentialsGrant(await client('etl', 'wrong'))).rejects.toMatchObject({
      status: 401,
    });
  });
});

describe('the provider itself', () => {
  it('answers to its own address only', async () => {
    const elsewhere = idp.issuer.replace('127.0.0.1', 'localhost');
    expect((await fetch(`${elsewhere}/.well-known/openid-configuration`)).status).toBe(421);
  });

  it('keeps keys and secrets private, and across a restart', async () => {
    for (const name of ['keys.json', 'cookie-secret', 'dev-secret', 'etl-secret']) {
      expect(statSync(join(home, 'idp', name)).mode & 0o777).toBe(0o600);
    }
    const token = await idp.mintDevToken({ as: 'ana@acme.test' });
    const port = Number(new URL(idp.issuer).port);
    await idp.stop();
    idp = await startIdentityProvider({ home, port, now: Date.now });
    // fetch may still hold a connection to the provider that has just stopped.
    await vi.waitFor(async () => expect(await verified(token)).toMatchObject(ana));
  });

  it('names the setting to change when its port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(startIdentityProvider({ home, port, now: Date.now })).rejects.toMatchObject({
      code: 'invalid_config',
      hint: expect.stringContaining('WRIT_IDP_PORT'),
    });
    other.close();
  });

  it('prints nothing', () => {
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  });
});
