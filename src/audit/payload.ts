import { canonicalField, canonicalText } from './canonical.ts';
import type { AuditKind } from './event.ts';
import type { NewEvent } from './log-interface.ts';
import { defaultLimits, redactField } from './redact.ts';

// A record's payload in one pass: what canonicalEvent(redactEvent(event)) says, for the two kinds that every statement
// writes, without the copies in between. Pure but for its memory of nested values, which events share and never change.

const common = ['catalog', 'client', 'credential', 'decision', 'id', 'kind', 'message', 'policyVersion'];
const more = ['principal', 'reasons', 'session', 'sqlstate', 'statementId'];

/** The keys that an event of the kind may have, sorted; `time` comes after all of them. */
const keysOf: Partial<Record<AuditKind, readonly string[]>> = {
  'statement.begin': [...common, ...more, 'columns', 'command', 'statement', 'tables'].sort(),
  'statement.end': [...common, ...more, 'bytes', 'durationMs', 'rows'].sort(),
};

/** Texts that stand in JSON as they are: printable ASCII without quotes, backslashes and `#`. */
const plain = /^[ !$-[\]-~]*$/;

const nested = new WeakMap<object, string>();

/** The payload, or undefined for an event that takes the long way: of another kind, or with a key we do not know. */
export function payloadOf(event: NewEvent, id: string, time: number): string | undefined {
  const keys = keysOf[event.kind];
  if (keys === undefined) return undefined;
  const fields = event as unknown as Readonly<Record<string, unknown>>;
  let unknown = 0;
  for (const key in fields) if (fields[key] !== undefined) unknown += 1;
  let text = '{';
  for (const key of keys) {
    const value = key === 'id' ? id : fields[key];
    if (value === undefined) continue;
    text += `"${key}":${fieldText(key, value)},`;
    if (key !== 'id') unknown -= 1;
  }
  return unknown === 0 ? `${text}"time":${fieldText('time', time)}}` : undefined;
}

function fieldText(key: string, value: unknown): string {
  if (typeof value === 'string') {
    const limit = key === 'statement' ? defaultLimits.statement : defaultLimits.text;
    return value.length <= limit && plain.test(value) ? `"${value}"` : redactedText(key, value);
  }
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value !== 'object' || value === null) return redactedText(key, value);
  const known = nested.get(value);
  if (known !== undefined) return known;
  const text = redactedText(key, value);
  nested.set(value, text);
  return text;
}

function redactedText(key: string, value: unknown): string {
  return canonicalText(canonicalField(redactField(key, value, defaultLimits)));
}
