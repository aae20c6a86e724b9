import { readFileSync } from 'node:fs';
import { loadModule } from 'libpg-query';
import type { CatalogInfo } from '../../src/catalog/model.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { type Desired, desiredState } from '../../src/rolesync/desired.ts';
import { sampleCatalog } from '../policy/fixture.ts';

/** What the sample policy wants in `shop`, or a variant of its text. */
export async function desiredSample(
  change: (text: string) => string = (text) => text,
): Promise<Desired & { snapshot: Snapshot; info: CatalogInfo }> {
  await loadModule();
  const text = change(readFileSync(new URL('../../policies/sample.yaml', import.meta.url), 'utf8'));
  const { snapshot, findings } = await compileFiles([{ path: 'policy.yaml', text }], sampleCatalog(), [], 0);
  const info = snapshot?.catalog.catalogs.get(parseSecurableName('shop'));
  if (snapshot === undefined || info === undefined) throw new Error(JSON.stringify(findings));
  return { ...desiredState(snapshot, info, { superuser: true }), snapshot, info };
}
