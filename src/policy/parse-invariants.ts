import { parsePrivilege } from '../kernel/privilege.ts';
import type { InvariantEntry, TagClaim, TagCondition } from './document.ts';
import type { Findings } from './findings.ts';
import { present, readComment, readPrincipalList, readSecurables } from './parse-names.ts';
import type { YamlValue } from './yaml-reader.ts';

const tagClaims: readonly TagClaim[] = ['unmaskedOnlyFor', 'filteredExceptFor', 'readableOnlyBy'];

/** What `by` may say: there is one word, and without it the same is meant. */
export const managedPath = 'any managed path';

/**
 * `{ forall: { tag[, value] }, unmaskedOnlyFor | filteredExceptFor | readableOnlyBy: [names] }`, or
 * `{ on, privilege, onlyFor: [names] }`. What does not fit is a finding and no invariant.
 */
export function readInvariant(entry: YamlValue, findings: Findings): InvariantEntry | undefined {
  const fields = entry.fields('an invariant', {
    forall: 'optional',
    unmaskedOnlyFor: 'optional',
    filteredExceptFor: 'optional',
    readableOnlyBy: 'optional',
    on: 'optional',
    privilege: 'optional',
    onlyFor: 'optional',
    by: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return undefined;
  readComment(fields.comment);
  readBy(fields.by, findings);
  const claims = [...tagClaims, 'onlyFor' as const].filter((name) => fields[name] !== undefined);
  const [claim] = claims;
  if (claim === undefined || claims.length > 1) {
    const known = [...tagClaims, 'onlyFor'].join(', ');
    findings.error('missing-key', entry.at, `an invariant needs one of ${known}`);
    return undefined;
  }
  const [needs, foreign] = claim === 'onlyFor' ? (['on', 'forall'] as const) : (['forall', 'on'] as const);
  if (fields[foreign] !== undefined) {
    findings.error('unknown-key', fields[foreign].at, `"${foreign}" does not go with "${claim}"`);
    return undefined;
  }
  if (fields[needs] === undefined) {
    findings.error('missing-key', entry.at, `an invariant with "${claim}" needs "${needs}"`);
    return undefined;
  }
  const only = readPrincipalList(fields[claim], claim);
  if (claim !== 'onlyFor') {
    const forall = readForall(fields.forall);
    return forall.length === 0 ? undefined : { at: entry.at, claim, forall, only };
  }
  if (fields.privilege === undefined)
    findings.error('missing-key', entry.at, 'an invariant with "onlyFor" needs "privilege"');
  const privilege = fields.privilege?.parsed('privilege', 'unknown-privilege', parsePrivilege);
  if (privilege === undefined) return undefined;
  return { at: entry.at, claim, on: readSecurables(fields.on), privilege, only };
}

function readBy(value: YamlValue | undefined, findings: Findings): void {
  const by = value?.scalarText('by');
  if (value === undefined || by === undefined || by === managedPath) return;
  const hint = 'ways that Writ does not manage are looked for by `writ cluster doctor`';
  findings.error('wrong-type', value.at, `"by" is ${JSON.stringify(managedPath)} or left out`, hint);
}

/** `{ tag: pii[, value: email | [email, phone]] }` */
function readForall(value: YamlValue | undefined): readonly TagCondition[] {
  const fields = value?.fields('forall', { tag: 'required', value: 'optional' });
  const tag = fields?.tag?.text('tag');
  if (tag === undefined) return [];
  const values = fields?.value?.oneOrMany('value').map((one) => {
    const text = one.scalarText('value');
    return text === undefined ? undefined : { value: text, at: one.at };
  });
  return [{ tag, values: values === undefined ? true : values.filter(present) }];
}
