import { isWithin, type SecurableName } from '../../kernel/securable-name.ts';
import type { Place, Placed, PolicyDocuments } from '../document.ts';
import type { PolicyFile } from '../model.ts';
import { parsePolicyFiles } from '../parse.ts';
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
  return files.flatMap((file) => {
    const path = `${prefix}${file.path}`;
    const scopes = mostSpecific(path, delegations).flatMap(({ on }) => (on === undefined ? [] : [on]));
    if (scopes.length === 0) return [];
    const { documents } = parsePolicyFiles([{ path, text: file.text }]);
    const mine = scopes.map((scope) => scope.join(', ')).join(' and ');
    const refused = ({ path: where, line, column }: Place, what: string) =>
      `${where}:${line}:${column}: ${what}; this folder is delegated for ${mine}`;
    const outside = ({ value }: Placed<SecurableName>) =>
      !scopes.every((scope) => scope.some((container) => isWithin(value, container)));
    return [
      ...namedSecurables(documents)
        .filter(outside)
        .map(({ value, at }) => refused(at, `${value} is outside`)),
      ...ofEverybody(documents).map(({ at, value }) => refused(at, `${value} concern every catalog`)),
    ];
  });
}

function namedSecurables(documents: PolicyDocuments): readonly Placed<SecurableName>[] {
  const { assign, owners, grants, policies } = documents;
  return [...assign, ...owners, ...grants, ...policies].flatMap(({ on }) => on);
}

/** Who is in which group, and which tags there are, means the same in every catalog. Tests and invariants give nothing. */
function ofEverybody(documents: PolicyDocuments): readonly Placed<string>[] {
  const { groups, servicePrincipals, attributes, tags, require } = documents;
  return [
    ...groups.map(({ name: { at } }) => ({ at, value: 'groups' })),
    ...servicePrincipals.map(({ at }) => ({ at, value: 'service principals' })),
    ...attributes.map(({ principal: { at } }) => ({ at, value: 'attributes' })),
    ...tags.map(({ name: { at } }) => ({ at, value: 'tags' })),
    ...require.map(({ tag: { at } }) => ({ at, value: 'required tags' })),
  ];
}
