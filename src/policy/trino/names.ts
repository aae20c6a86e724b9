import type { CatalogInfo, CatalogSnapshot, ColumnInfo, TableInfo } from '../../catalog/model.ts';
import { allUsers, operatorName, type PrincipalName, parsePrincipalName } from '../../kernel/principal.ts';
import { formatSecurableName, nameParts, type SecurableName } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../model.ts';

// Trino's names → ours. A catalog has the same name on both sides. Trino folds names to lower case, so a table or column
// that is spelled otherwise in its database is found by its lower-case name, where that names only one.

/** What a name of Trino's stands for. */
export type TrinoPlace =
  /** Trino's own `system` catalog; ours of that name is not reachable through Trino. */
  | { readonly kind: 'own'; readonly schema?: string; readonly table?: string }
  /** Made by Trino from what it may show of the catalog. */
  | { readonly kind: 'information-schema'; readonly catalog: SecurableName; readonly table?: string }
  | {
      readonly kind: 'governed';
      readonly on: SecurableName;
      readonly catalog: CatalogInfo;
      readonly info?: TableInfo;
    }
  | { readonly kind: 'unknown'; readonly on: SecurableName };

const ownCatalog = 'system';
const informationSchema = 'information_schema';

export class TrinoNames {
  readonly #catalog: CatalogSnapshot;
  /** Lower-case parts → the names that fold to them. */
  readonly #folded = new Map<string, SecurableName[]>();

  constructor(catalog: CatalogSnapshot) {
    this.#catalog = catalog;
    for (const known of [...catalog.schemas, ...catalog.tables.keys()]) {
      const key = fold(nameParts(known));
      this.#folded.set(key, [...(this.#folded.get(key) ?? []), known]);
    }
  }

  catalog(name: string): TrinoPlace {
    if (name === ownCatalog) return { kind: 'own' };
    const on = formatSecurableName([name]);
    const catalog = this.#catalog.catalogs.get(on);
    // The record is read through the gateway only: nothing in Trino can be our system catalog.
    return catalog === undefined || catalog.kind === 'SYSTEM'
      ? { kind: 'unknown', on }
      : { kind: 'governed', on, catalog };
  }

  schema(catalogName: string, schemaName: string): TrinoPlace {
    const place = this.catalog(catalogName);
    if (place.kind === 'own') return { kind: 'own', schema: schemaName };
    if (place.kind !== 'governed')
      return { kind: 'unknown', on: formatSecurableName([catalogName, schemaName]) };
    if (schemaName === informationSchema) return { kind: 'information-schema', catalog: place.on };
    const on = this.#find([catalogName, schemaName]);
    return this.#catalog.schemas.has(on) ? { ...place, on } : { kind: 'unknown', on };
  }

  table(catalogName: string, schemaName: string, tableName: string): TrinoPlace {
    const schema = this.schema(catalogName, schemaName);
    if (schema.kind === 'own' || schema.kind === 'information-schema') return { ...schema, table: tableName };
    const on = this.#find([catalogName, schemaName, tableName]);
    const info = schema.kind === 'governed' ? this.#catalog.tables.get(on) : undefined;
    return schema.kind !== 'governed' || info === undefined
      ? { kind: 'unknown', on }
      : { ...schema, on, info };
  }

  #find(parts: readonly string[]): SecurableName {
    const exact = formatSecurableName(parts);
    if (this.#catalog.tables.has(exact) || this.#catalog.schemas.has(exact)) return exact;
    const folded = this.#folded.get(fold(parts));
    return folded?.length === 1 ? (folded[0] ?? exact) : exact;
  }
}

/** Names are compared as Trino shows them, part by part: in lower case. */
function fold(parts: readonly string[]): string {
  return JSON.stringify(parts.map((part) => part.toLowerCase()));
}

/** Columns of a table that Trino shows under one name; more than one where they differ by case only. */
export function columnsNamed(info: TableInfo, name: string): readonly ColumnInfo[] {
  const wanted = name.toLowerCase();
  return info.columns.filter((column) => column.name.toLowerCase() === wanted);
}

/**
 * Who asks, by the name that Trino vouches for. Undefined for what is no person's name: the local operator, a group, a
 * name with spaces around it; somebody called like a group must not get what the group got.
 */
export function trinoPrincipal(snapshot: Snapshot, user: string): PrincipalName | undefined {
  const name = readName(user);
  if (name === undefined || name === operatorName) return undefined;
  const isGroup = (name as string) === allUsers || snapshot.groups.has(name as string as typeof allUsers);
  return isGroup ? undefined : name;
}

function readName(user: string): PrincipalName | undefined {
  if (user.trim() !== user) return undefined;
  try {
    return parsePrincipalName(user);
  } catch {
    return undefined;
  }
}
