import { allUsers, parseGroupName, parsePrincipalName } from '../kernel/principal.ts';
import { type Privilege, parsePrivilege } from '../kernel/privilege.ts';
import { parseSecurableName, type SecurableName } from '../kernel/securable-name.ts';
import type { ClusterSelector, Placed, PrincipalOrGroup, TagCondition } from './document.ts';
import type { YamlValue } from './yaml-reader.ts';

// The names and small shapes that several kinds of documents share.

const present = <T>(value: T | undefined): value is T => value !== undefined;

/** `to`, `except`, `members`: one name or a list. `all users` is a group. */
export function readPrincipalList(
  value: YamlValue | undefined,
  what: string,
): readonly Placed<PrincipalOrGroup>[] {
  if (value === undefined) return [];
  return value
    .oneOrMany(what)
    .map((one) => readPrincipal(one, what))
    .filter(present);
}

export function readPrincipal(value: YamlValue, what: string): Placed<PrincipalOrGroup> | undefined {
  return value.parsed(what, 'invalid-name', (text) =>
    text.trim().toLowerCase() === allUsers ? allUsers : parsePrincipalName(text),
  );
}

export function readGroupName(text: string) {
  return parseGroupName(text);
}

/** `on`: a securable name or a list of them. */
export function readSecurables(value: YamlValue | undefined): readonly Placed<SecurableName>[] {
  if (value === undefined) return [];
  return value
    .oneOrMany('on')
    .map((one) => one.parsed('on', 'invalid-name', parseSecurableName))
    .filter(present);
}

export function readPrivileges(value: YamlValue): readonly Placed<Privilege>[] {
  return value
    .oneOrMany('privileges')
    .map((one) => one.parsed('privileges', 'unknown-privilege', parsePrivilege))
    .filter(present);
}

/** `{ tag: value | [values] | true, … }` */
export function readTagConditions(value: YamlValue | undefined, what: string): readonly TagCondition[] {
  if (value === undefined) return [];
  return value.entries(what).map(({ key, value: wanted }): TagCondition => {
    if (wanted.isTrue) return { tag: key, values: true };
    const values = wanted.oneOrMany(`${what}.${key.value}`).map((one): Placed<string> | undefined => {
      const text = one.scalarText(`${what}.${key.value}`);
      return text === undefined ? undefined : { value: text, at: one.at };
    });
    return { tag: key, values: values.filter(present) };
  });
}

/** `clusters: { label: value }` */
export function readClusters(value: YamlValue | undefined): ClusterSelector | undefined {
  if (value === undefined) return undefined;
  const labels = value
    .entries('clusters')
    .map(({ key, value: label }): [string, string] => [key.value, label.scalarText('clusters') ?? '']);
  return new Map(labels);
}

/** An optional comment: must be a text, is otherwise without meaning. */
export function readComment(value: YamlValue | undefined): void {
  value?.scalarText('comment');
}

export { present };
