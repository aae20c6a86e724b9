import type { Brand } from './brand.ts';
import { WritError } from './errors.ts';

// A securable name is `catalog.schema.table[.column]`, or `metastore` for the root. Parts are quoted as in SQL
// where they hold anything but lower-case letters, digits and underscores. Parsed once, at the door.

/** The canonical text of a securable name: equal names have equal text. */
export type SecurableName = Brand<string, 'SecurableName'>;

export const metastore = 'metastore' as SecurableName;

const plainPart = /^[a-z_][a-z0-9_$]*$/;

/** Reads `a.b.c` or `"A".b."c.d"`; unquoted parts fold to lower case, as Postgres folds identifiers. @throws invalid_name */
export function parseSecurableName(text: string): SecurableName {
  const parts = splitName(text);
  if (parts.length > 4) fail(text, 'at most catalog.schema.table.column');
  return formatSecurableName(parts);
}

/** Joins parts that are already exact (no folding). @throws invalid_name when a part is empty or holds NUL. */
export function formatSecurableName(parts: readonly string[]): SecurableName {
  if (parts.length === 0) fail('', 'a name has at least one part');
  return parts.map(formatPart).join('.') as SecurableName;
}

/** The exact parts, unquoted: `"A".b` → ['A', 'b']. */
export function nameParts(name: SecurableName): readonly string[] {
  return name.includes('"') ? splitName(name) : name.split('.');
}

/** The last part, unquoted. */
export function lastPart(name: SecurableName): string {
  return nameParts(name).at(-1) ?? name;
}

/** The name itself and all that contain it, nearest first; the metastore is last. */
export function withAncestors(name: SecurableName): readonly SecurableName[] {
  if (name === metastore) return [metastore];
  if (!name.includes('"')) return plainAncestors(name);
  const parts = nameParts(name);
  return [...parts.keys()]
    .map((i) => formatSecurableName(parts.slice(0, parts.length - i)))
    .concat(metastore);
}

/** Without quotes every dot parts two names: cut, not read. */
function plainAncestors(name: SecurableName): readonly SecurableName[] {
  const names: SecurableName[] = [name];
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1))
    names.push(name.slice(0, dot) as SecurableName);
  names.push(metastore);
  return names;
}

/** Whether `name` is `ancestor` or lies below it. */
export function isWithin(name: SecurableName, ancestor: SecurableName): boolean {
  return ancestor === metastore || name === ancestor || name.startsWith(`${ancestor}.`);
}

export function child(parent: SecurableName, part: string): SecurableName {
  return `${parent}.${formatPart(part)}` as SecurableName;
}

function formatPart(part: string): string {
  if (part === '' || part.includes('\0')) fail(part, 'a part is empty or holds NUL');
  return plainPart.test(part) ? part : `"${part.replaceAll('"', '""')}"`;
}

function splitName(text: string): string[] {
  const parts: string[] = [];
  const token = /\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)/y;
  while (token.lastIndex < text.length || parts.length === 0) {
    const match = token.exec(text);
    if (match === null) return fail(text, 'expected parts separated by dots');
    parts.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : (match[2] ?? '').toLowerCase());
    if (match[3] === '') return parts;
    if (token.lastIndex >= text.length) return fail(text, 'it ends with a dot');
  }
  return parts;
}

function fail(text: string, why: string): never {
  throw new WritError('invalid_name', {
    message: `invalid securable name ${JSON.stringify(text)}`,
    detail: why,
  });
}
