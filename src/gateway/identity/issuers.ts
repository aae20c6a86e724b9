import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../kernel/clock.ts';
import { WritError } from '../../kernel/errors.ts';
import { fetchCapped } from './capped-fetch.ts';

/** An identity provider that is trusted to name people. */
export interface IssuerConfig {
  /** Exactly as in its tokens and in its discovery document. */
  readonly issuer: string;
  /** Must be among a token's audiences. */
  readonly audience: string;
  /** Claim that carries the groups; absent: groups come from the policy files alone. */
  readonly groupsClaim?: string;
  /** Only e-mails of these domains name people. */
  readonly emailDomains?: readonly string[];
}

export interface Issuer {
  readonly config: IssuerConfig;
  /** The issuer's key for a token, by `kid` and `alg`. Keys that a token brings along are never looked at. */
  readonly key: JWTVerifyGetKey;
}

export interface IssuersOptions {
  readonly clock: Clock;
  /** `writ dev` only: plain http from loopback addresses. */
  readonly allowLoopbackHttp?: boolean;
}

/** An unknown `kid` makes the keys be fetched again, at most this often. */
const refetchFloor = 30_000;
/** After a failed discovery the next is tried no sooner. */
const retryAfter = 1_000;

/** Issuers by their exact name; nothing is fetched before a token asks. @throws invalid_config */
export function openIssuers(
  configs: readonly IssuerConfig[],
  options: IssuersOptions,
): ReadonlyMap<string, Issuer> {
  return new Map(configs.map((config) => [config.issuer, new DiscoveredIssuer(config, options)]));
}

class DiscoveredIssuer implements Issuer {
  readonly config: IssuerConfig;
  readonly #options: IssuersOptions;
  #keys: Promise<JWTVerifyGetKey> | undefined;
  #failed: { readonly error: unknown; readonly at: number } | undefined;

  constructor(config: IssuerConfig, options: IssuersOptions) {
    this.config = config;
    this.#options = options;
    checkUrl(config.issuer, options);
  }

  readonly key: JWTVerifyGetKey = async (header, token) => {
    const keys = await this.#discovered();
    try {
      return await keys(header, token);
    } catch (error) {
      // The keys may have moved: the next token asks discovery again.
      if (error instanceof WritError) this.#keys = undefined;
      throw error;
    }
  };

  #discovered(): Promise<JWTVerifyGetKey> {
    const now = this.#options.clock.now();
    if (this.#failed !== undefined && Math.abs(now - this.#failed.at) < retryAfter) {
      return Promise.reject(this.#failed.error);
    }
    this.#keys ??= this.#discover().then(
      (keys) => {
        this.#failed = undefined;
        return keys;
      },
      (error: unknown) => {
        this.#failed = { error, at: now };
        this.#keys = undefined;
        throw error;
      },
    );
    return this.#keys;
  }

  async #discover(): Promise<JWTVerifyGetKey> {
    const { issuer } = this.config;
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const document = await readObject(await fetchCapped(url), url);
    if (document['issuer'] !== issuer) {
      throw misconfigured(url, `it says issuer ${JSON.stringify(document['issuer'])}, expected is ${issuer}`);
    }
    const keysUrl = document['jwks_uri'];
    if (typeof keysUrl !== 'string') throw misconfigured(url, 'it names no jwks_uri');
    checkUrl(keysUrl, this.#options);
    return createRemoteJWKSet(new URL(keysUrl), {
      cooldownDuration: refetchFloor,
      [customFetch]: (from) => fetchCapped(from),
    });
  }
}

async function readObject(response: Response, url: string): Promise<Record<string, unknown>> {
  const value: unknown = await response.json().catch(() => undefined);
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw misconfigured(url, 'it is no JSON object');
}

function misconfigured(url: string, why: string): WritError {
  return new WritError('unreachable', {
    message: 'the identity provider cannot be used',
    detail: `${url}: ${why}`,
  });
}

const loopback = /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\])$/;

function checkUrl(text: string, { allowLoopbackHttp = false }: IssuersOptions): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url?.protocol === 'http:' && allowLoopbackHttp && loopback.test(url.hostname);
  if (url?.protocol === 'https:' || plain) return;
  throw new WritError('invalid_config', {
    message: `an issuer is reached by https (http from loopback addresses under \`writ dev\` only): ${text}`,
  });
}
