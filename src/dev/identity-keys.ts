import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { z } from 'zod';
import { keptSecret, writePrivate } from './home.ts';

// What the development identity provider keeps under `$WRIT_HOME/idp`, every file of mode 0600: with the same keys
// after a restart, tokens and browser sessions go on.

/** `kid`, `alg` and `use` are set; the private parts are in it. */
export type SigningKey = JWK & { readonly kid: string; readonly alg: string };

export interface IdentitySecrets {
  /** The first signs access tokens (ES256), the second ID tokens (RS256). */
  readonly keys: readonly [SigningKey, SigningKey];
  readonly cookieSecret: string;
  /** Bearer of `POST /dev/token`. */
  readonly devSecret: string;
  /** The service principal etl's client secret. */
  readonly etlSecret: string;
}

const keySchema = z.looseObject({ kty: z.string(), kid: z.string(), alg: z.string() });
const keysSchema = z.tuple([keySchema, keySchema]);

/** Reads what is under `folder`, makes what is missing. */
export async function identitySecrets(folder: string): Promise<IdentitySecrets> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    keys: await signingKeys(join(folder, 'keys.json')),
    cookieSecret: keptSecret(join(folder, 'cookie-secret')),
    devSecret: keptSecret(join(folder, 'dev-secret')),
    etlSecret: keptSecret(join(folder, 'etl-secret')),
  };
}

async function signingKeys(path: string): Promise<IdentitySecrets['keys']> {
  if (!existsSync(path)) {
    const keys = await Promise.all([newKey('ES256'), newKey('RS256')]);
    writePrivate(path, `${JSON.stringify(keys, undefined, 2)}\n`);
  }
  const [first, second] = keysSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  return [first as SigningKey, second as SigningKey];
}

async function newKey(alg: 'ES256' | 'RS256'): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use: 'sig' };
}
