import type { CatalogSnapshot } from '../catalog/model.ts';
import type { CatalogStore, KeptInputs, PolicySource } from '../catalog/store.ts';
import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import { type Compiled, compileFiles } from '../policy/compile.ts';
import { lintPolicy } from '../policy/lint.ts';
import type { Finding, PolicyFile, Snapshot } from '../policy/model.ts';
import type { ClusterLabels } from '../policy/rules.ts';

// What a snapshot is compiled from, gathered at one place, so that what is kept is what was compiled.

/** What a compile reads beside files and catalog, as it is now. */
export function inputsNow(
  store: CatalogStore,
  labels: ClusterLabels | undefined,
  files: readonly PolicyFile[],
  catalog: CatalogSnapshot,
): KeptInputs {
  return {
    files,
    catalog,
    known: store.principals().map((principal) => principal.name),
    // Names as claimed: only those that are spelled as the files declare them count.
    claimed: store
      .claimedGroups()
      .map(({ principal, groups }) => [principal, groups as readonly GroupName[]] as const),
    labels: [...(labels ?? [])].map(([cluster, own]) => [cluster, [...own]] as const),
  };
}

/** The same inputs give the same snapshot, up to what has expired at `now`. */
export function compileInputs(inputs: KeptInputs, now: number): Promise<Compiled> {
  const { files, catalog, known } = inputs;
  return compileFiles(files, catalog, known, now, labelsOf(inputs), new Map(inputs.claimed));
}

/** What lint says of them: all that compiling would, and advice. */
export function lintInputs(inputs: KeptInputs, now: number): Promise<readonly Finding[]> {
  const { files, catalog, known } = inputs;
  return lintPolicy(files, catalog, known, now, labelsOf(inputs), new Map(inputs.claimed));
}

function labelsOf({ labels }: KeptInputs): ClusterLabels {
  return new Map(labels.map(([cluster, own]) => [cluster, new Map(own)]));
}

/** A compiled snapshot with everything needed to compile it again. */
export interface Brought {
  readonly snapshot: Snapshot;
  readonly inputs: KeptInputs;
  readonly compiledAt: number;
}

export interface Occasion {
  readonly at: number;
  readonly by: PrincipalName;
  readonly why: string;
  readonly source?: PolicySource | undefined;
}

/** @returns its number, for `keptBegins` */
export function keep(store: CatalogStore, brought: Brought, { at, by, why, source }: Occasion): number {
  const { snapshot, inputs, compiledAt } = brought;
  return store.keepSnapshot({
    snapshot: snapshot.id,
    since: at,
    compiledAt,
    appliedBy: by,
    why,
    inputs,
    ...(source === undefined ? {} : { source }),
  });
}
