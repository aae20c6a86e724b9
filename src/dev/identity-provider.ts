import './url-parse.ts';
import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Provider } from 'oidc-provider';
import { Provider as OidcProvider } from 'oidc-provider/lib/provider.js';
import { z } from 'zod';
import { toWritError, WritError } from '../kernel/errors.ts';
import { companyDirectory, type Directory, personBySubject } from './company.ts';
import { type DevTokenRequest, signDevToken, tokenAudience } from './dev-token.ts';
import { type IdentitySecrets, identitySecrets } from './identity-keys.ts';
import { cliClient, oidcConfiguration } from './oidc-configuration.ts';
import { portError } from './ports.ts';
import { chooserPage } from './sign-in-pages.ts';

// The embedded identity provider: oidc-provider, whose discovery, keys and tokens are the real thing, on the loopback
// interface only. Two things are ours: the page on which one chooses who to be, and `POST /dev/token`.

export interface IdentityProvider {
  /** Exactly the `iss` of its tokens. */
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUri: string;
  /** Client of `writ login`. */
  readonly clientId: string;
  /** A token for anybody of the directory. @throws not_found */
  mintDevToken(request: DevTokenRequest): Promise<string>;
  stop(): Promise<void>;
}

const bodyLimit = 16_384;

/**
 * Starts it; keys and secrets are kept under `<home>/idp`. Port 0 picks a free one. `now` in ms. `directory`: whom
 * `mintDevToken` knows; by default the sample company.
 * @throws invalid_config when the port is in use
 */
export async function startIdentityProvider(options: {
  home: string;
  port: number;
  now: () => number;
  directory?: Directory;
}): Promise<IdentityProvider> {
  const secrets = await identitySecrets(join(options.home, 'idp'));
  const server = createServer();
  const port = await listen(server, options.port);
  const issuer = `http://127.0.0.1:${port}`;
  const mintDevToken = (request: DevTokenRequest): Promise<string> =>
    signDevToken(request, issuer, secrets.keys[0], options.now(), options.directory ?? companyDirectory);
  const provider = new OidcProvider(issuer, oidcConfiguration(secrets));
  server.on('request', requestHandler(provider, issuer, secrets, mintDevToken));
  return {
    issuer,
    audience: tokenAudience,
    jwksUri: `${issuer}/jwks`,
    clientId: cliClient,
    mintDevToken,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, port: number): Promise<number> {
  try {
    server.listen({ host: '127.0.0.1', port });
    await once(server, 'listening');
  } catch (error) {
    throw portError(error, port, 'WRIT_IDP_PORT');
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function requestHandler(
  provider: Provider,
  issuer: string,
  secrets: IdentitySecrets,
  mint: IdentityProvider['mintDevToken'],
): Handler {
  const standard = provider.callback();
  const host = new URL(issuer).host;
  return (request, response) => {
    const path = new URL(request.url ?? '/', issuer).pathname;
    // A page of another origin that rebinds its name to our address stops here.
    if (request.headers.host !== host) return sendJson(response, 421, { error: `use ${issuer}` });
    const ours =
      path === '/dev/token' ? devToken : path.startsWith('/interaction/') ? interaction : undefined;
    if (ours === undefined) return void standard(request, response);
    ours(request, response).catch((thrown: unknown) => sendError(response, thrown));
  };

  async function devToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!bearerMatches(request, secrets.devSecret)) {
      throw new WritError('bad_credential', { message: 'the bearer must be the content of idp/dev-secret' });
    }
    if (request.method !== 'POST') throw new WritError('invalid_argument', { message: 'use POST' });
    const wanted = parseTokenRequest(await readBody(request));
    sendJson(response, 200, { access_token: await mint(wanted), token_type: 'Bearer' });
  }

  async function interaction(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, uid } = await provider.interactionDetails(request, response);
    if (prompt.name === 'consent') {
      return provider.interactionFinished(request, response, { consent: {} });
    }
    if (request.method !== 'POST') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
      response.end(chooserPage(`/interaction/${uid}`));
      return;
    }
    const subject = new URLSearchParams(await readBody(request)).get('sub') ?? '';
    if (personBySubject(subject) === undefined) {
      throw new WritError('invalid_argument', { message: 'nobody of that name' });
    }
    const result = { login: { accountId: subject }, consent: {} };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
}

const tokenRequestSchema = z.strictObject({
  as: z.string().max(254),
  audience: z.string().min(1).max(254).optional(),
  expires_in: z.int().min(-86_400).max(86_400).optional(),
});

function parseTokenRequest(body: string): DevTokenRequest {
  const parsed = tokenRequestSchema.safeParse(parseJson(body));
  if (!parsed.success) {
    throw new WritError('invalid_argument', {
      message: 'expected {"as": "e-mail or service principal", "audience"?, "expires_in"?: seconds}',
      detail: z.prettifyError(parsed.error),
    });
  }
  const { as, audience, expires_in: expiresIn } = parsed.data;
  return {
    as,
    ...(audience === undefined ? {} : { audience }),
    ...(expiresIn === undefined ? {} : { expiresIn }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function bearerMatches(request: IncomingMessage, secret: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${secret}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw new WritError('too_large', { message: `at most ${bodyLimit} bytes` });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function sendError(response: ServerResponse, thrown: unknown): void {
  // oidc-provider's own errors say what is wrong with the request (an interaction that ended, mostly).
  const expected = thrown instanceof Error && 'status' in thrown && 'error_description' in thrown;
  const error = expected
    ? new WritError('invalid_argument', { message: thrown.message })
    : toWritError(thrown);
  sendJson(response, error.http, { error: error.message, detail: error.detail, hint: error.hint });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
