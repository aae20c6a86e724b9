import { getConnInfo } from '@hono/node-server/conninfo';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import type { AuditLog } from '../../audit/log-interface.ts';
import { type Decision, formatDecision, formatReason } from '../../kernel/decision.ts';
import { errorTable, toWritError, WritError } from '../../kernel/errors.ts';
import { operatorName } from '../../kernel/principal.ts';
import type { Caller, Route } from '../../kernel/route.ts';
import type { Snapshot } from '../../policy/model.ts';
import type { Authenticator } from '../identity/authenticator.ts';
import { type DecisionClientOptions, decisionClient } from './decision-client.ts';
import { openApiDocument } from './openapi.ts';

// The one place where HTTP meets the rooms: authenticate, parse, decide, run, record, render errors.

export interface MountOptions {
  readonly authenticator: Authenticator;
  readonly currentSnapshot: () => Snapshot;
  readonly audit: AuditLog;
  readonly logError: (error: WritError) => void;
  /** Who may ask about others for an engine. */
  readonly decisionClients?: DecisionClientOptions;
}

/** Bytes of a request's body, however it is sent. */
const mostBody = 8 * 1024 * 1024;

/** @returns the application that serves every route, `/openapi.json` and nothing else. */
export function mount(routes: readonly Route[], options: MountOptions): Hono {
  const app = new Hono();
  const tooLarge = new WritError('too_large', { message: `a body is at most ${mostBody} bytes` });
  app.use(bodyLimit({ maxSize: mostBody, onError: (c) => renderError(c, tooLarge) }));
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, ':$1'), (c) =>
      serve(route, c, options),
    );
  }
  const document = openApiDocument(routes);
  app.get('/openapi.json', (c) => c.json(document));
  app.notFound((c) =>
    renderError(c, new WritError('not_found', { message: `no route ${c.req.method} ${c.req.path}` })),
  );
  app.onError((thrown, c) => {
    const error = toWritError(thrown);
    if (error.code === 'internal') options.logError(error);
    return renderError(c, error);
  });
  return app;
}

async function serve(route: Route, c: Context, options: MountOptions): Promise<Response> {
  const caller = await callerOf(route, c, options);
  const decided = (decision: Decision | undefined, status: number, error?: WritError) => {
    if (route.requires.kind !== 'nothing') record(route, c, caller, decision, status, options.audit, error);
  };
  let decision: Decision | undefined;
  try {
    const input = parseInput(route, await readInput(route, c));
    decision = decide(route, input, caller, options.currentSnapshot());
    const output = await route.run(input, caller);
    decided(decision, 200);
    return typeof output === 'string' ? c.text(output) : c.json(output as object);
  } catch (thrown) {
    const error = toWritError(thrown);
    if (error.code === 'internal') options.logError(error);
    decided(decision, error.http, error);
    return renderError(c, error);
  }
}

function callerOf(route: Route, c: Context, options: MountOptions): Promise<Caller> {
  switch (route.requires.kind) {
    case 'nothing':
      return Promise.resolve(nobody(c));
    case 'decision-client':
      return decisionClient(
        {
          bearer: bearerOf(c),
          inUrl: c.req.query('token'),
          address: addressOf(c),
          host: c.req.header('host'),
          origin: c.req.header('origin'),
        },
        (token) => authenticate(token, c, options),
        options,
      ).catch((thrown: unknown) => {
        const error = toWritError(thrown);
        throw error.code === 'permission_denied' ? refusedAtDoor(error, addressOf(c), options) : error;
      });
    default:
      return authenticate(bearerOf(c), c, options);
  }
}

function bearerOf(c: Context): string | undefined {
  return /^Bearer\s+(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
}

async function authenticate(token: string | undefined, c: Context, options: MountOptions): Promise<Caller> {
  const address = addressOf(c);
  if (token === undefined) {
    throw new WritError('sign_in_refused', {
      message: 'no bearer token',
      hint: 'send `Authorization: Bearer TOKEN`; `writ token` prints one',
    });
  }
  try {
    const identity = await options.authenticator.authenticate({ password: token });
    const { principal, credential } = identity;
    return {
      principal,
      credential,
      operator: principal === operatorName && credential === 'operator',
      address,
    };
  } catch (thrown) {
    throw refusedAtDoor(thrown, address, options);
  }
}

function refusedAtDoor(thrown: unknown, address: string, { audit }: MountOptions): WritError {
  const error = toWritError(thrown);
  const { message, sqlstate, detail } = error;
  audit.append({
    kind: 'session.refused',
    decision: 'deny',
    client: { address, application: 'http' },
    sqlstate,
    message,
    reasons: [detail ?? message],
  });
  return error;
}

function decide(route: Route, input: unknown, caller: Caller, snapshot: Snapshot): Decision | undefined {
  if (route.requires.kind !== 'privilege') return undefined;
  const on = route.requires.on(input);
  const decision = snapshot.decide(caller.principal, route.requires.privilege, on);
  if (decision.effect === 'allow') return decision;
  // Nobody can be let into what is not there; what is there keeps its refusal.
  if (route.requires.privilege === 'USE CATALOG' && !snapshot.catalog.catalogs.has(on))
    throw new WritError('no_such_catalog', {
      message: `catalog ${on} does not exist`,
      hint: '`writ catalog ls` lists those that you may see',
    });
  const owner = snapshot.owner(on);
  throw new WritError('permission_denied', {
    message: `permission denied: ${route.requires.privilege} on ${on}`,
    detail: formatDecision(decision),
    hint: owner === undefined ? 'ask whoever runs this gateway' : `ask ${owner}, who owns ${on}`,
  });
}

async function readInput(route: Route, c: Context): Promise<unknown> {
  const text = c.req.method === 'GET' ? '' : await c.req.text();
  // A token may stand in a decision client's query: it is no input.
  const query = route.requires.kind === 'decision-client' ? {} : c.req.query();
  return { ...query, ...parseJson(text), ...c.req.param() };
}

function parseJson(text: string): object {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new WritError('invalid_argument', { message: 'the body is not JSON', cause });
  }
  throw new WritError('invalid_argument', { message: 'the body must be a JSON object' });
}

function parseInput(route: Route, raw: unknown): unknown {
  const parsed = route.input.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new WritError('invalid_argument', {
    message: parsed.error.issues.map(issueInWords).join('; '),
    detail: `input of ${route.method.toUpperCase()} ${route.path}`,
  });
}

/** `lifetimeSeconds: must be at least 1`. */
function issueInWords(issue: z.core.$ZodIssue): string {
  const place = issue.path.map(String).join('.');
  return place === '' ? problemInWords(issue) : `${place}: ${problemInWords(issue)}`;
}

function problemInWords(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_type':
      return issue.input === undefined && issue.message.endsWith('received undefined')
        ? 'is missing'
        : `must be ${issue.expected === 'int' ? 'a whole number' : article(issue.expected)}`;
    case 'unrecognized_keys':
      return `there is no ${issue.keys.join(', ')}`;
    default:
      return issue.message;
  }
}

function unitOf(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : '';
}

function article(noun: string): string {
  return `${/^[aeio]/.test(noun) ? 'an' : 'a'} ${noun}`;
}

function record(
  route: Route,
  c: Context,
  caller: Caller,
  decision: Decision | undefined,
  status: number,
  audit: AuditLog,
  error?: WritError,
): void {
  if (route.method === 'get' && status < 400) return;
  // Its route records what was decided, about whom; the answers by themselves would flood the log.
  if (route.requires.kind === 'decision-client' && status < 400) return;
  audit.append({
    kind: 'http.request',
    method: c.req.method,
    path: c.req.path,
    status,
    principal: caller.principal,
    credential: caller.credential,
    client: { address: caller.address, application: 'http' },
    decision: error?.code === 'permission_denied' ? 'deny' : 'allow',
    ...(decision === undefined ? {} : { reasons: decision.because.map(formatReason) }),
    ...(error === undefined
      ? {}
      : {
          sqlstate: error.sqlstate,
          message: recorded(error),
          reasons: error.code !== 'permission_denied' || error.detail === undefined ? [] : [error.detail],
        }),
  });
}

/** Refusals say what we decided; other messages may quote what was sent, literals of a statement among it. */
function recorded({ code, message }: WritError): string {
  return code === 'permission_denied' || code === 'guard_refused' ? message : errorTable[code].text;
}

/** Unity Catalog's error shape, with SQLSTATE, detail and hint beside it. */
function renderError(c: Context, error: WritError): Response {
  const body = {
    error_code: error.code.toUpperCase(),
    message: error.message,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    sqlstate: error.sqlstate,
  };
  return c.json(body, error.http as 400);
}

function nobody(c: Context): Caller {
  return { principal: operatorName, credential: 'none', operator: false, address: addressOf(c) };
}

function addressOf(c: Context): string {
  return getConnInfo(c).remote.address ?? 'unknown';
}
