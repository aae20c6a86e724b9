import { isWithin, type SecurableName } from '../../kernel/securable-name.ts';
import type { Place, Placed, PolicyDocuments, PolicyEntry } from '../document.ts';
import type { PolicyFile } from '../model.ts';
import { parsePolicyFiles } from '../parse.ts';
import { depthOf } from '../rules.ts';
import { type Delegation, mostSpecific } from './trust.ts';

// What files of a delegated folder speak of. Order and file names carry no meaning in a policy, so a path alone would
// delegate nothing: a grant on anything works from any file. Pure.

/**
 * @param folder of the policy files in the repository
 * @returns what lies outside of a delegation's `on`: `policies/shop/a.yaml:3:5: …`
 */
export function outOfScope(
  files: readonly PolicyFile[],
  folder: string,
  delegations: readonly Delegation[],
): readonly string[] {
  const prefix = folder === '.' ? '' : `${folder}/`;
  if (delegations.every(({ on }) => on === undefined)) return [];
  const read = files.map((file): Read => {
    const path = `${prefix}${file.path}`;
    const owners = mostSpecific(path, delegations);
    const scopes = owners.flatMap(({ on }) => (on === undefined ? [] : [on]));
    return { owners, scopes, documents: parsePolicyFiles([{ path, text: file.text }]).documents };
  });
  return read.flatMap((file) => {
    const { scopes, documents } = file;
    if (scopes.length === 0) return [];
    const mine = scopes.map((scope) => scope.join(', ')).join(' and ');
    const refused = ({ path: where, line, column }: Place, what: string) =>
      `${where}:${line}:${column}: ${what}; this folder is delegated for ${mine}`;
    const outside = ({ value }: Placed<SecurableName>) =>
      !scopes.every((scope) => scope.some((container) => isWithin(value, container)));
    return [
      ...namedSecurables(documents)
        .filter(outside)
        .map(({ value, at }) => refused(at, `${value} is outside`)),
      ...outranked(file, read).map(({ at, value }) => refused(at, value)),
      ...ofEverybody(documents).map(({ at, value }) => refused(at, `${value} concern every catalog`)),
    ];
  });
}

interface Read {
  readonly owners: readonly Delegation[];
  readonly scopes: readonly (readonly SecurableName[])[];
  readonly documents: PolicyDocuments;
}

/** Of two masks one wins: `value` with a great strength would take off what others put on. */
function outranked(mine: Read, all: readonly Read[]): readonly Placed<string>[] {
  const same = ({ owners }: Read) =>
    owners.length === mine.owners.length && owners.every((owner) => mine.owners.includes(owner));
  const theirs = all.filter((other) => !same(other)).flatMap(({ documents }) => masksOf(documents));
  return masksOf(mine.documents).flatMap((mask) => {
    const other = theirs.find((each) => wins(mask, each));
    const value = `its mask would win over ${other?.name.value}, which stands outside of this folder`;
    return other === undefined ? [] : [{ at: mask.name.at, value }];
  });
}

function masksOf({ policies }: PolicyDocuments): readonly PolicyEntry[] {
  return policies.filter(({ kind }) => kind === 'column-mask');
}

/** Somewhere, perhaps: which columns they find is not asked. A tie compiles for nobody. */
function wins(mask: PolicyEntry, other: PolicyEntry): boolean {
  const meet = mask.on.flatMap(({ value: a }) =>
    other.on.filter(({ value: b }) => isWithin(a, b) || isWithin(b, a)).map(({ value: b }) => ({ a, b })),
  );
  if (mask.strength !== other.strength) return meet.length > 0 && mask.strength > other.strength;
  return meet.some(({ a, b }) => depthOf(a) < depthOf(b));
}

function namedSecurables(documents: PolicyDocuments): readonly Placed<SecurableName>[] {
  const { assign, owners, grants, policies } = documents;
  return [...assign, ...owners, ...grants, ...policies].flatMap(({ on }) => on);
}

/** Who is in which group, which tags there are, and roles of a cluster mean the same in every catalog. Tests and invariants give nothing. */
function ofEverybody(documents: PolicyDocuments): readonly Placed<string>[] {
  const { grants, groups, servicePrincipals, attributes, tags, require } = documents;
  return [
    // A role of the database is a role of its whole cluster, and beyond every rule.
    ...grants.flatMap(({ assume }) =>
      assume === undefined ? [] : [{ at: assume.at, value: 'assumed roles' }],
    ),
    ...groups.map(({ name: { at } }) => ({ at, value: 'groups' })),
    ...servicePrincipals.map(({ at }) => ({ at, value: 'service principals' })),
    ...attributes.map(({ principal: { at } }) => ({ at, value: 'attributes' })),
    ...tags.map(({ name: { at } }) => ({ at, value: 'tags' })),
    ...require.map(({ tag: { at } }) => ({ at, value: 'required tags' })),
  ];
}
