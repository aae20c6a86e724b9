import { isMap, parseAllDocuments } from 'yaml';
import type { PolicyFile } from './model.ts';

/** The same policy without its `kind: tests` documents: what is in force while they are run. Files must have parsed. */
export function withoutTests(files: readonly PolicyFile[]): readonly PolicyFile[] {
  return files.map(({ path, text }) => {
    const documents = parseAllDocuments(text, { version: '1.2', schema: 'core', merge: false });
    if (!Array.isArray(documents)) return { path, text };
    const kept = documents.filter(
      ({ contents }) => contents !== null && !(isMap(contents) && String(contents.get('kind')) === 'tests'),
    );
    return {
      path,
      text: kept.map((document) => `---\n${document.toString({ directives: false })}`).join(''),
    };
  });
}
