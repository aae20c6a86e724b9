import { Unsupported } from './unsupported.ts';

// Reading DuckDB's parse tree (the JSON of json_serialize_sql) without trusting its shape: what is not as expected is
// refused, never skipped.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export function refuse(what: string, hint?: string): never {
  throw new Unsupported(what, hint);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function object(value: Json | undefined, what: string): JsonObject {
  return isObject(value) ? value : refuse(`a statement whose ${what} is not understood`);
}

export function list(value: Json | undefined, what: string): readonly Json[] {
  return Array.isArray(value) ? value : refuse(`a statement whose ${what} is not understood`);
}

export function text(value: Json | undefined, what: string): string {
  return typeof value === 'string' ? value : refuse(`a statement whose ${what} is not understood`);
}

/** Refuses a node with a field that this version of the walk does not know and that says something. */
export function only(node: JsonObject, known: readonly string[], what: string): void {
  for (const [key, value] of Object.entries(node)) {
    if (!known.includes(key) && saysSomething(value)) refuse(`${what} with ${key}`);
  }
}

function saysSomething(value: Json | undefined): boolean {
  if (value === null || value === undefined || value === false || value === '') return false;
  return !(Array.isArray(value) && value.length === 0);
}
