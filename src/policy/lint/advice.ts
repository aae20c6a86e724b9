import type { CatalogSnapshot } from '../../catalog/model.ts';
import { allUsers, type GroupName } from '../../kernel/principal.ts';
import type { GrantEntry, PolicyDocuments, PrincipalOrGroup } from '../document.ts';
import type { AccessRule } from '../gates.ts';
import type { Snapshot } from '../model.ts';
import { type ClusterLabels, selectsCluster } from '../rules.ts';

/** What lint looks at beyond what compiling checks. */
export interface AdviceInput {
  readonly documents: PolicyDocuments;
  readonly now: number;
  /** Absent: nobody knows which catalogs there are; `clusters:` then selects everything. */
  readonly catalog?: CatalogSnapshot;
  readonly labels: ClusterLabels;
  /** Absent where no catalog is known. */
  readonly snapshot?: Snapshot;
}

export const isLive = ({ expires }: GrantEntry, now: number): boolean =>
  expires === undefined || expires.value > now;

/** Owners and live grants as the rules that decisions are made from. */
export function liveRules({ documents, now, catalog, labels }: AdviceInput): readonly AccessRule[] {
  const rules: AccessRule[] = documents.owners.flatMap(({ on, owner }) =>
    on.map((one) => ({ subject: owner.value, on: one.value, act: 'OWNER' as const })),
  );
  for (const grant of documents.grants) {
    if (!isLive(grant, now)) continue;
    for (const on of grant.on) {
      if (catalog !== undefined && !selectsCluster(grant.clusters, on.value, catalog, labels)) continue;
      for (const to of grant.to)
        for (const privilege of grant.privileges)
          rules.push({ subject: to.value, on: on.value, act: privilege.value });
    }
  }
  return rules;
}

/** Who contains whom, upwards: a name, every group that contains it through any chain, and all users. */
export class Containers {
  readonly #direct = new Map<PrincipalOrGroup, GroupName[]>();
  readonly #known = new Map<PrincipalOrGroup, readonly PrincipalOrGroup[]>();

  constructor({ groups }: PolicyDocuments) {
    for (const { name, members } of groups)
      for (const member of members) {
        const above = this.#direct.get(member.value);
        if (above === undefined) this.#direct.set(member.value, [name.value]);
        else above.push(name.value);
      }
  }

  /** The name itself first. */
  of(name: PrincipalOrGroup): readonly PrincipalOrGroup[] {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = new Set<PrincipalOrGroup>([name]);
    for (const one of found) for (const above of this.#direct.get(one) ?? []) found.add(above);
    found.add(allUsers);
    const list = [...found];
    this.#known.set(name, list);
    return list;
  }
}
