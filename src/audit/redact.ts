import type { AuditEvent } from './event.ts';

// What a client sent must not be able to forge or hide lines where the log is read (terminals, SIEMs), nor fill the
// disk with one record. Pure. Literals of statements are redacted where they are parsed, not here.

export interface RedactLimits {
  /** Characters of a statement that are kept. */
  readonly statement: number;
  /** Characters of every other text that are kept. */
  readonly text: number;
  /** Entries of a list (tables, columns, reasons) that are kept. */
  readonly entries: number;
}

export const defaultLimits: RedactLimits = { statement: 32_768, text: 4_096, entries: 2_000 };

// C0, DEL, C1, line and paragraph separators, the controls that turn the direction of text around, and halves of
// surrogate pairs (JSON readers refuse them, so one would make the whole log unreadable for them).
const controls =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;
// A statement keeps its tabs and line ends; JSON escapes them in the file.
const controlsInStatements =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/** The event with capped texts and lists, and control characters replaced by U+FFFD. */
export function redactEvent(event: AuditEvent, limits: RedactLimits = defaultLimits): AuditEvent {
  return redactFields(event, limits) as AuditEvent;
}

function redactFields(fields: object, limits: RedactLimits): object {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    clean[key] = redactField(key, value, limits);
  }
  return clean;
}

/** One field of an event. */
export function redactField(key: string, value: unknown, limits: RedactLimits): unknown {
  return key === 'statement' ? redactStatement(value, limits) : redactValue(value, limits);
}

function redactStatement(value: unknown, limits: RedactLimits): unknown {
  return typeof value === 'string'
    ? cap(value.replace(controlsInStatements, '\ufffd'), limits.statement)
    : value;
}

function redactValue(value: unknown, limits: RedactLimits): unknown {
  if (typeof value === 'string') return cap(value.replace(controls, '\ufffd'), limits.text);
  if (Array.isArray(value)) return redactList(value, limits);
  return typeof value === 'object' && value !== null ? redactFields(value, limits) : value;
}

function redactList(values: readonly unknown[], limits: RedactLimits): readonly unknown[] {
  const kept = values.slice(0, limits.entries).map((value) => redactValue(value, limits));
  return kept.length < values.length ? [...kept, `… ${values.length - kept.length} more`] : kept;
}

function cap(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  const kept = last >= 0xd800 && last <= 0xdbff ? length - 1 : length;
  return `${text.slice(0, kept)}… (${text.length - kept} characters more)`;
}
