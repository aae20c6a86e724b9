import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose';
import { onTestFinished } from 'vitest';
import { type OpenAuditLog, openAuditLog } from '../../../src/audit/log.ts';
import { readRecords } from '../../../src/audit/read.ts';
import { openSqliteStore } from '../../../src/catalog/sqlite-store.ts';
import type { CatalogStore } from '../../../src/catalog/store.ts';
import {
  type AuthenticatorOptions,
  type OpenAuthenticator,
  openAuthenticator,
} from '../../../src/gateway/identity/open-authenticator.ts';
import { parsePrincipalName } from '../../../src/kernel/principal.ts';

// A real issuer over real HTTP with real signatures, that can be made to misbehave.

export interface TestKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

export async function makeKey(kid: string, alg = 'RS256'): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** One for all tests that need no key of their own: RSA keys take long to make. */
const usualKey = makeKey('k1');

export interface TestIssuer {
  readonly url: string;
  readonly key: TestKey;
  /** What it serves, by path; change it to misbehave. */
  readonly serves: Map<string, () => { status?: number; headers?: Record<string, string>; body: string }>;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  sign(claims?: object, header?: Partial<JWTHeaderParameters>, key?: TestKey): Promise<string>;
}

/** `now` in seconds: the tokens are issued then, for five minutes, to ana. */
export async function startIssuer(now: () => number, key?: TestKey): Promise<TestIssuer> {
  const signing = key ?? (await usualKey);
  const serves: TestIssuer['serves'] = new Map();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const { status = 200, headers = {}, body } = serves.get(path)?.() ?? { status: 404, body: '' };
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  });
  const url = await listen(server);
  serves.set('/.well-known/openid-configuration', () => ({
    body: JSON.stringify({ issuer: url, jwks_uri: `${url}/jwks` }),
  }));
  serves.set('/jwks', () => ({ body: JSON.stringify({ keys: [signing.jwk] }) }));
  const sign: TestIssuer['sign'] = (claims = {}, header = {}, by = signing) => {
    const iat = now();
    const usual = { iss: url, sub: 's-ana', aud: 'writ', iat, exp: iat + 300 };
    const who = { email: 'ana@acme.test', email_verified: true };
    return new SignJWT({ ...usual, ...who, ...claims })
      .setProtectedHeader({ alg: by.alg, kid: by.kid, typ: 'at+jwt', ...header })
      .sign(by.privateKey);
  };
  return { url, key: signing, serves, asked, sign };
}

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface Door {
  readonly authenticator: OpenAuthenticator;
  readonly store: CatalogStore;
  readonly audit: OpenAuditLog;
  /** Milliseconds; move it to let time pass. */
  readonly clock: { time: number; now(): number };
  kinds(): readonly string[];
}

export const operatorToken = 'ab'.repeat(32);

/** An authenticator with a real store and a real log, for the issuers given. */
export function openDoor(issuers: readonly string[], options: Partial<AuthenticatorOptions> = {}): Door {
  const folder = mkdtempSync(join(tmpdir(), 'writ-identity-'));
  const clock = { time: Date.now(), now: () => clock.time };
  const audit = openAuditLog({ folder, writer: 'gateway', clock });
  const store = openSqliteStore({ file: ':memory:' });
  onTestFinished(async () => {
    await audit.close();
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const principals = new Set([parsePrincipalName('etl'), parsePrincipalName('ana@acme.test')]);
  const authenticator = openAuthenticator({
    store,
    audit,
    clock,
    issuers: issuers.map((issuer) => ({ issuer, audience: 'writ' })),
    snapshot: () => ({ principals }),
    operatorToken,
    allowLoopbackHttp: true,
    ...options,
  });
  const kinds = () => [...readRecords(folder)].map(({ event }) => event?.kind ?? 'erased');
  return { authenticator, store, audit, clock, kinds };
}

/** What a sign-in came to: the principal, or the SQLSTATE with its detail. */
export async function outcome(door: Door, password: string, more: object = {}): Promise<string> {
  try {
    return (await door.authenticator.authenticate({ password, ...more })).principal;
  } catch (error) {
    const { sqlstate, detail } = error as { sqlstate?: string; detail?: string };
    return `${sqlstate}: ${detail}`;
  }
}
