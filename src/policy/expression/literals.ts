import type { ExpressionType } from './model.ts';

// Literals are read here once, so that no engine reads them by its own rules.

export type LiteralValue = string | number | boolean | null;

/** A text that stands where a type is wanted, in its canonical spelling; undefined when it is none of that type. */
export function readTextLiteral(text: string, type: ExpressionType): LiteralValue | undefined {
  switch (type) {
    case 'text':
      return text;
    case 'date':
      return readDate(text);
    case 'timestamp':
      return readTime(text, false);
    case 'timestamptz':
      return readTime(text, true);
    case 'uuid':
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined;
    case 'integer':
    case 'bigint':
    case 'numeric':
    case 'boolean':
    case 'text[]':
      return undefined;
  }
}

/** A number as written: the narrowest type that holds it. Undefined over 38 digits, with an exponent, or no number. */
export function readNumber(
  text: string,
): { readonly value: number | string; readonly type: 'integer' | 'bigint' | 'numeric' } | undefined {
  if (!/^-?(\d+\.?\d*|\.\d+)$/.test(text)) return undefined;
  if (/^-?\d+$/.test(text)) {
    const big = BigInt(text);
    if (fits(big, 31n)) return { value: Number(big), type: 'integer' };
    if (fits(big, 63n)) return { value: String(big), type: 'bigint' };
    return text.replace('-', '').replace(/^0+/, '').length <= 38
      ? { value: String(big), type: 'numeric' }
      : undefined;
  }
  const [whole = '', fraction = ''] = text.replace('-', '').split('.');
  const digits = whole.replace(/^0+/, '').length + fraction.length;
  const canonical = `${text.startsWith('-') ? '-' : ''}${whole === '' ? '0' : whole}${fraction === '' ? '' : `.${fraction}`}`;
  return digits <= 38 ? { value: canonical, type: 'numeric' } : undefined;
}

function fits(value: bigint, bits: bigint): boolean {
  return value >= -(2n ** bits) && value < 2n ** bits;
}

function readDate(text: string): string | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || text.startsWith('0000')) return undefined;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text) ? text : undefined;
}

const timePattern = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2}):(\d{2})(\.\d{1,6})?(Z|[+-]\d{2}(?::?\d{2})?)?$/;

/** With a zone the moment in UTC is kept; without one the zone must be absent. */
function readTime(text: string, zoned: boolean): string | undefined {
  const [, day = '', hour = '', minute = '', second = '', fraction = '', zone] = timePattern.exec(text) ?? [];
  if (readDate(day) === undefined || (zone !== undefined) !== zoned) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (zone === undefined) return `${day} ${hour}:${minute}:${second}${fraction}`;
  const moment = Date.parse(`${day}T${hour}:${minute}:${second}Z`) - offsetOf(zone) * 60_000;
  const utc = new Date(moment).toISOString();
  if (!/^(?!0000)\d{4}-/.test(utc)) return undefined;
  return `${utc.slice(0, 10)} ${utc.slice(11, 19)}${fraction}+00`;
}

/** Minutes east of UTC. */
function offsetOf(zone: string): number {
  if (zone === 'Z') return 0;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return zone.startsWith('-') ? -minutes : minutes;
}
