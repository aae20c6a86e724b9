import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { directSearchPath } from '../../src/fleet/search-path.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { people, sampleCatalog } from '../policy/fixture.ts';

test('the search_path of a direct login: clear first only for whom no rule of the schema binds', async () => {
  const files = [{ path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') }];
  const { snapshot } = await compileFiles(files, sampleCatalog(), [people.nina], 0);
  if (snapshot === undefined) throw new Error('the sample does not compile');
  const path = (who: keyof typeof people) =>
    directSearchPath(snapshot, people[who], parseSecurableName('shop'));
  expect(path('ana')).toEqual(['writ_public_direct', 'public']);
  expect(path('sam')).toEqual(['writ_public_direct_clear', 'writ_public_direct', 'public']);
  expect(path('etl')).toEqual(['writ_public_direct_clear', 'writ_public_direct', 'public']);
  expect(path('nina')).toEqual(['public']);
});
