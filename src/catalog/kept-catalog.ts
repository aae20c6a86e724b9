import type { SecurableName } from '../kernel/securable-name.ts';
import { isWithin } from '../kernel/securable-name.ts';
import type { CatalogInfo, CatalogSnapshot, Discovered, TableInfo } from './model.ts';
import { buildSnapshot, type CatalogContent, contentDigest } from './snapshot.ts';

// A catalog snapshot as one text per catalog, and back. Pure. What a text says is held against the hash that it names,
// so that a text that was changed is noticed.

const nothing: Discovered = { schemas: [], tables: [], functions: [], partitions: [] };

/** One JSON text per catalog, in order of names; estimates left out. */
export function catalogTexts(snapshot: CatalogSnapshot): readonly string[] {
  const contents = [...snapshot.catalogs.values()].map((catalog) => contentOf(snapshot, catalog));
  // Before its first discovery a catalog has no hash, and an empty one has: the snapshot's own name tells which it was.
  const empty = contents.filter(({ content }) => content === contentDigest(nothing)).map(nameOf);
  const undiscovered = subsets(empty).find(
    (some) => buildSnapshot(contents.map((each) => without(each, some))).digest === snapshot.digest,
  );
  return contents.map((each) => JSON.stringify(without(each, undiscovered ?? new Set())));
}

/** @returns undefined when a text is not what its hash says, or is none of ours */
export function catalogFromTexts(texts: readonly string[]): CatalogSnapshot | undefined {
  const contents = texts.map((text) => JSON.parse(text) as CatalogContent);
  const genuine = contents.every(
    ({ content, catalog: _, ...found }) =>
      content === contentDigest(found) || (content === '' && isEmpty(found)),
  );
  return genuine ? buildSnapshot(contents) : undefined;
}

function contentOf(snapshot: CatalogSnapshot, catalog: CatalogInfo): CatalogContent {
  const inside = (name: SecurableName) => isWithin(name, catalog.name);
  const found: Discovered = {
    schemas: [...snapshot.schemas].filter(inside).sort(),
    tables: [...snapshot.tables.values()].filter(({ name }) => inside(name)).map(withoutEstimate),
    functions: [...snapshot.functions].filter(([name]) => inside(name)).flatMap(([, overloads]) => overloads),
    partitions: [...snapshot.partitions]
      .filter(([name]) => inside(name))
      .map(([name, parent]) => ({ name, parent })),
  };
  return { ...found, catalog, content: contentDigest(found) };
}

function withoutEstimate({ rowsEstimate: _, ...table }: TableInfo): TableInfo {
  return table;
}

function nameOf({ catalog }: CatalogContent): SecurableName {
  return catalog.name;
}

function without(content: CatalogContent, undiscovered: ReadonlySet<SecurableName>): CatalogContent {
  return undiscovered.has(content.catalog.name) ? { ...content, content: '' } : content;
}

function isEmpty(found: Discovered): boolean {
  return contentDigest(found) === contentDigest(nothing);
}

/** Few catalogs are empty; beyond four only all and none are tried. */
function subsets(names: readonly SecurableName[]): readonly ReadonlySet<SecurableName>[] {
  if (names.length > 4) return [new Set(), new Set(names)];
  return Array.from(
    { length: 2 ** names.length },
    (_, bits) => new Set(names.filter((_name, i) => (bits >> i) % 2 === 1)),
  );
}
