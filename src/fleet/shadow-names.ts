import { createHash } from 'node:crypto';
import type { Door } from './role-names.ts';

// Where the shadow views of a schema stand, by door and shape. The gateway rewrites to these names; the reconciler
// makes them; nobody else builds one.

/** governed: filters and masks inside · clear: for those exempt from every rule · insert: where bound writers insert. */
export type Shape = 'governed' | 'clear' | 'insert';

const suffix: Record<Door, Record<Shape, string>> = {
  gateway: { governed: '', clear: '_clear', insert: '_insert' },
  direct: { governed: '_direct', clear: '_direct_clear', insert: '_direct_insert' },
};

/** `public` → `writ_public`, `writ_public_clear`, `writ_public_direct`, …; shortened with a hash over 63 bytes. */
export function shadowSchema(schema: string, door: Door, shape: Shape): string {
  const name = `writ_${schema}${suffix[door][shape]}`;
  if (Buffer.byteLength(name) <= 63) return name;
  const hash = createHash('sha256').update(schema).digest('hex').slice(0, 8);
  return `writ_${Buffer.from(schema).subarray(0, 32).toString().replaceAll('\ufffd', '')}_${hash}${suffix[door][shape]}`;
}
