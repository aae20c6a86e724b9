// What a commit itself changes, from whole trees. Pure.

/** Path → mode and object of everything below the policy folder. */
export type Tree = ReadonlyMap<string, string>;

/**
 * The paths whose content this commit's signer answers for. Without parents: all of them; with one: what differs from
 * it. Of a merge: what is not simply the side that changed since the bases. So a merge that takes the older version of
 * what the other side changed has changed it, though the result stands in one of its parents.
 * @param bases merge bases of the parents; none for histories without a common beginning
 */
export function changedPaths(result: Tree, parents: readonly Tree[], bases: readonly Tree[]): string[] {
  const from = bases.length === 0 ? [new Map<string, string>()] : bases;
  const paths = new Set([result, ...parents].flatMap((tree) => [...tree.keys()]));
  const only = parents.length === 1 ? parents[0] : undefined;
  const differs =
    only === undefined
      ? (path: string) => from.some((base) => result.get(path) !== merged(path, parents, base))
      : (path: string) => result.get(path) !== only.get(path);
  return [...paths].filter(differs).sort();
}

const conflict = Symbol('both sides changed it differently');

function merged(path: string, parents: readonly Tree[], base: Tree): string | undefined | symbol {
  const before = base.get(path);
  const changed = new Set(parents.map((tree) => tree.get(path)).filter((now) => now !== before));
  if (changed.size > 1) return conflict;
  return changed.size === 0 ? before : [...changed][0];
}
