import type { z } from 'zod';
import type { PrincipalName } from './principal.ts';
import type { Privilege } from './privilege.ts';
import type { SecurableName } from './securable-name.ts';

// HTTP routes are data: each room exports its own, and `gateway/http/mount` alone authenticates, parses, decides, runs,
// records and renders errors. A route without `requires` does not compile.

/** Who is asking, after sign-in. */
export interface Caller {
  readonly principal: PrincipalName;
  /** The credential's id, for the record. */
  readonly credential: string;
  /** The local operator: every administrative right, no data. */
  readonly operator: boolean;
  readonly address: string;
}

/** What must hold before `run` is called. */
export type Requirement<Input> =
  /** Nobody is asked: health, readiness, metrics, the API's own description. */
  | { readonly kind: 'nothing' }
  /** Any principal; the route itself shows each caller only what is theirs. */
  | { readonly kind: 'signed-in' }
  /** An engine that asks about other people (Trino): with the decision token, or MANAGE on the metastore. */
  | { readonly kind: 'decision-client' }
  | {
      readonly kind: 'privilege';
      readonly privilege: Privilege;
      readonly on: (input: Input) => SecurableName;
    };

export interface Route<Input = unknown, Output = unknown> {
  readonly method: 'get' | 'post' | 'delete' | 'patch';
  /** Path with `{name}` parameters: `/api/v1/sessions/{id}`. */
  readonly path: string;
  readonly summary: string;
  /** Path parameters, query and JSON body together. */
  readonly input: z.ZodType<Input>;
  readonly output: z.ZodType<Output>;
  readonly requires: Requirement<Input>;
  readonly run: (input: Input, caller: Caller) => Promise<Output>;
}

/** Keeps input and output types together while a list of routes forgets them. */
export function route<Input, Output>(definition: Route<Input, Output>): Route {
  return definition as unknown as Route;
}
