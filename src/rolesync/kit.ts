import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Sql, trustedSql } from '../kernel/sql.ts';

// The `.sql` files of schema `writ`, and what their functions must look like once installed.

const read = (name: string): string => readFileSync(new URL(`./${name}.sql`, import.meta.url), 'utf8');

export const kitSql = (): Sql => trustedSql(read('writ-schema'), 'file');
export const eventTriggerSql = (): Sql => trustedSql(read('writ-event-triggers'), 'file');

/** How inspect.sql describes a function, in this order; compared by hash. */
export interface FunctionLook {
  readonly source: string;
  readonly owner: string;
  readonly definer: boolean;
  readonly settings: string;
}

export function functionHash(look: FunctionLook): string {
  const parts = [look.source, look.owner, look.definer, look.settings];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

/** Name of each function in the file → hash of how it must look. */
export function kitFunctions(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const pattern = /create or replace function writ\.(\w+)\([\s\S]*?as \$writ\$([\s\S]*?)\$writ\$;/g;
  for (const match of read('writ-schema').matchAll(pattern)) {
    const look = {
      source: match[2] ?? '',
      owner: 'writ_owner',
      definer: true,
      settings: 'search_path=pg_catalog, pg_temp',
    };
    found.set(match[1] ?? '', functionHash(look));
  }
  return found;
}
