import { WritError } from './errors.ts';

// Unity Catalog's privileges, in its spelling with spaces; both spellings are read.

export const privileges = [
  'USE CATALOG',
  'USE SCHEMA',
  'BROWSE',
  'SELECT',
  'MODIFY',
  'EXECUTE',
  'CREATE SCHEMA',
  'CREATE TABLE',
  'CREATE FUNCTION',
  'CREATE MATERIALIZED VIEW',
  'CREATE VOLUME',
  'CREATE MODEL',
  'READ VOLUME',
  'WRITE VOLUME',
  'REFRESH',
  'APPLY TAG',
  'MANAGE',
  'ALL PRIVILEGES',
  'EXTERNAL USE SCHEMA',
  'CREATE CATALOG',
] as const;

export type Privilege = (typeof privileges)[number];

const known: ReadonlySet<string> = new Set(privileges);

/** Reads `USE CATALOG`, `use_catalog`. @throws invalid_argument with the list of what is known. */
export function parsePrivilege(text: string): Privilege {
  const spelled = text.trim().toUpperCase().replaceAll('_', ' ').replaceAll(/\s+/g, ' ');
  if (!known.has(spelled)) {
    throw new WritError('invalid_argument', {
      message: `unknown privilege ${JSON.stringify(text)}`,
      hint: `known: ${privileges.join(', ')}`,
    });
  }
  return spelled as Privilege;
}

/** ALL PRIVILEGES is resolved when it is checked and leaves these out (Unity Catalog). */
export const notInAllPrivileges: ReadonlySet<Privilege> = new Set([
  'MANAGE',
  'EXTERNAL USE SCHEMA',
  'CREATE CATALOG',
]);
