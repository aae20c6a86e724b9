import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { CatalogInfo, CatalogSnapshot, FunctionInfo, TableInfo } from '../catalog/model.ts';
import type { SecurableName } from '../kernel/securable-name.ts';

// The catalog that the policy in force was last compiled against. Applications change their tables without asking; a
// policy that does not fit what they made must not keep a restart from serving what it does fit.

export interface LastGoodCatalog {
  read(): CatalogSnapshot | undefined;
  write(catalog: CatalogSnapshot): void;
}

interface Kept {
  readonly catalogs: readonly [SecurableName, CatalogInfo][];
  readonly schemas: readonly SecurableName[];
  readonly tables: readonly [SecurableName, TableInfo][];
  readonly functions: readonly [SecurableName, readonly FunctionInfo[]][];
  readonly partitions: readonly [SecurableName, SecurableName][];
  readonly digest: string;
}

/** Kept in a file of the instance's home (mode 0600), replaced as a whole. */
export function openLastGoodCatalog(file: string): LastGoodCatalog {
  return {
    read: () => {
      const kept = readKept(file);
      return kept === undefined
        ? undefined
        : {
            catalogs: new Map(kept.catalogs),
            schemas: new Set(kept.schemas),
            tables: new Map(kept.tables),
            functions: new Map(kept.functions),
            partitions: new Map(kept.partitions),
            digest: kept.digest,
          };
    },
    write: ({ catalogs, schemas, tables, functions, partitions, digest }) => {
      if (readKept(file)?.digest === digest) return;
      const kept: Kept = {
        catalogs: [...catalogs],
        schemas: [...schemas],
        tables: [...tables],
        functions: [...functions],
        partitions: [...partitions],
        digest,
      };
      writeFileSync(`${file}.new`, JSON.stringify(kept), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}

function readKept(file: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Kept;
  } catch {
    return undefined; // Absent or unreadable: there is nothing to fall back to, and the caller says why it failed.
  }
}
