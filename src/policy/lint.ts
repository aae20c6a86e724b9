import type { CatalogSnapshot } from '../catalog/model.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { compileFiles } from './compile.ts';
import type { Finding, PolicyFile } from './model.ts';
import type { ClusterLabels } from './rules.ts';

export { formatFinding } from './findings.ts';

/** Everything that is wrong or doubtful in the files, sorted by path, line and column: what `writ policy lint` prints. */
export async function lintPolicy(
  files: readonly PolicyFile[],
  catalog: CatalogSnapshot,
  known: readonly PrincipalName[],
  now: number,
  labels?: ClusterLabels,
): Promise<readonly Finding[]> {
  const { findings } = await compileFiles(files, catalog, known, now, labels);
  return findings;
}
