import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { CatalogSnapshot } from '../catalog/model.ts';
import { catalogFromJson, catalogToJson } from '../catalog/snapshot-json.ts';

// The catalog that the policy in force was last compiled against. Applications change their tables without asking; a
// policy that does not fit what they made must not keep a restart from serving what it does fit.

export interface LastGoodCatalog {
  read(): CatalogSnapshot | undefined;
  write(catalog: CatalogSnapshot): void;
}

/** Kept in a file of the instance's home (mode 0600), replaced as a whole. */
export function openLastGoodCatalog(file: string): LastGoodCatalog {
  return {
    read: () => readKept(file),
    write: (catalog) => {
      if (readKept(file)?.digest === catalog.digest) return;
      writeFileSync(`${file}.new`, JSON.stringify(catalogToJson(catalog)), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}

function readKept(file: string): CatalogSnapshot | undefined {
  try {
    return catalogFromJson(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined; // Absent or unreadable: there is nothing to fall back to, and the caller says why it failed.
  }
}
