import type { CatalogSnapshot } from '../catalog/model.ts';
import { compileFiles } from './compile.ts';
import type { Finding, PolicyFile } from './model.ts';

/** What nobody can say without knowing which catalogs, tables and columns there are. */
const needCatalog: ReadonlySet<string> = new Set(['unknown-securable', 'idle-policy', 'idle-invariant']);

/** Everything that is wrong with the files themselves: syntax, kinds, keys, and the names they give each other. */
export async function lintOffline(files: readonly PolicyFile[], now: number): Promise<readonly Finding[]> {
  const { findings } = await compileFiles(files, nothing, [], now);
  return findings.filter((finding) => !needCatalog.has(finding.rule));
}

const nothing: CatalogSnapshot = {
  catalogs: new Map(),
  schemas: new Set(),
  tables: new Map(),
  functions: new Map(),
  partitions: new Map(),
  digest: '',
};
