import type { CatalogSnapshot } from '../catalog/model.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { compilePolicy } from './compile.ts';
import { Findings, sortFindings } from './findings.ts';
import { type AdviceInput, Containers } from './lint/advice.ts';
import {
  checkEmptyGroups,
  checkShadowedMasks,
  checkSubsetAudiences,
  checkUnusedTags,
} from './lint/audiences.ts';
import { checkEnforced, checkNameLengths } from './lint/engines.ts';
import { checkFilteredWriters } from './lint/filtered-writer.ts';
import { checkShadowedGrants } from './lint/shadowed-grant.ts';
import { checkUnreachableGrants } from './lint/unreachable-grant.ts';
import { notChecked } from './lint-rules.ts';
import type { Finding, PolicyFile } from './model.ts';
import { parsePolicyFiles, yamlSyntax } from './parse.ts';
import type { ClusterLabels } from './rules.ts';

export { formatFinding } from './findings.ts';

/**
 * Everything that is wrong or doubtful in the files, sorted by path, line and column: what `writ policy lint` prints.
 * Advice about the whole policy is given once it compiles.
 */
export async function lintPolicy(
  files: readonly PolicyFile[],
  catalog: CatalogSnapshot,
  known: readonly PrincipalName[],
  now: number,
  labels: ClusterLabels = new Map(),
): Promise<readonly Finding[]> {
  const { documents, findings } = parsePolicyFiles(files);
  if (findings.some((finding) => finding.rule === yamlSyntax)) return sortFindings(findings);
  const compiled = await compilePolicy({ files, documents, catalog, known, now, labels });
  const { snapshot } = compiled;
  const found = [...findings, ...compiled.findings];
  if (snapshot === undefined || found.some(isError)) return sortFindings(found);
  return sortFindings([...found, ...advise({ documents, now, catalog, labels, snapshot })]);
}

/** Everything that is wrong with the files themselves: what can be said where no catalog is known. */
export async function lintWithoutCatalog(
  files: readonly PolicyFile[],
  now: number,
): Promise<readonly Finding[]> {
  const labels: ClusterLabels = new Map();
  const { documents, findings } = parsePolicyFiles(files);
  if (findings.some((finding) => finding.rule === yamlSyntax)) return sortFindings(findings);
  const compiled = await compilePolicy({ files, documents, catalog: nothing, known: [], now, labels });
  const unknowable = new Set<string>(notChecked({ catalog: false, errors: false }));
  const found = [...findings, ...compiled.findings].filter((finding) => !unknowable.has(finding.rule));
  return sortFindings(found.some(isError) ? found : [...found, ...advise({ documents, now, labels })]);
}

const isError = (finding: Finding): boolean => finding.severity === 'error';

function advise(input: AdviceInput): readonly Finding[] {
  const findings = new Findings();
  const above = new Containers(input.documents);
  checkUnreachableGrants(input, above, findings);
  checkShadowedGrants(input, above, findings);
  checkShadowedMasks(input, above, findings);
  checkFilteredWriters(input, findings);
  checkEnforced(input, findings);
  checkNameLengths(input, findings);
  checkSubsetAudiences(input, findings);
  checkEmptyGroups(input, findings);
  checkUnusedTags(input, findings);
  return findings.list;
}

const nothing: CatalogSnapshot = {
  catalogs: new Map(),
  schemas: new Set(),
  tables: new Map(),
  functions: new Map(),
  partitions: new Map(),
  digest: '',
};
