import { allUsers, operatorName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { CheckInput } from './check.ts';
import type { GrantEntry, Placed, PrincipalOrGroup } from './document.ts';
import { didYouMean, type Findings } from './findings.ts';
import { depth, opens } from './gates.ts';
import { groupCycles } from './membership.ts';

/** Groups that contain themselves, with the whole cycle. */
export function checkGroups({ documents }: CheckInput, findings: Findings): void {
  for (const { path, at } of groupCycles(documents.groups))
    findings.error('group-cycle', at, `groups contain themselves: ${path.join(' → ')}`);
  for (const group of documents.groups)
    for (const member of group.members)
      if (member.value === allUsers)
        findings.error('reserved-name', member.at, '"all users" cannot be a member: it is everybody');
  for (const { name, source } of documents.groups)
    if (source === 'scim')
      findings.warning(
        'scim-unfed',
        name.at,
        `nobody is in ${name.value}: this version of Writ is fed by no SCIM server`,
        'list its members, or take them from the sign-in with `source: claim`',
      );
}

/** Users need not be listed (a trusted issuer vouches for them); groups and service principals must be declared. */
export function checkPrincipalNames({ documents, known }: CheckInput, findings: Findings): void {
  const declared = new Set<string>([
    allUsers,
    ...documents.groups.map((group) => group.name.value),
    ...documents.servicePrincipals.map((name) => name.value),
    ...known,
  ]);
  const groups = new Set<string>(documents.groups.map((group) => group.name.value));
  const expect = (name: Placed<PrincipalOrGroup>): void => {
    if (name.value === operatorName)
      findings.error('reserved-name', name.at, '"operator" is a name of Writ\'s own');
    else if (!name.value.includes('@') && !declared.has(name.value)) {
      const close = didYouMean(name.value, declared);
      const message = `no such group or service principal ${JSON.stringify(name.value)}${close}`;
      findings.error('unknown-principal', name.at, message);
    }
  };
  for (const group of documents.groups) group.members.forEach(expect);
  for (const entry of documents.owners) {
    expect(entry.owner);
    if (entry.owner.value === allUsers)
      findings.error('reserved-name', entry.owner.at, '"all users" cannot own anything');
  }
  for (const grant of documents.grants) grant.to.forEach(expect);
  for (const policy of documents.policies) [...policy.to, ...policy.except].forEach(expect);
  for (const invariant of documents.invariants) invariant.only.forEach(expect);
  for (const { principal } of documents.attributes) {
    expect(principal);
    if (groups.has(principal.value))
      findings.error(
        'group-attribute',
        principal.at,
        `${principal.value} is a group: attributes belong to principals`,
      );
  }
  for (const test of documents.tests) expect(test.as);
}

/** Files that open no catalog to anybody are legal (a beginning), and seldom meant. */
export function checkAdmitted({ files, documents, now }: CheckInput, findings: Findings): void {
  const admits = (act: Parameters<typeof opens>[0], on: readonly Placed<SecurableName>[]) =>
    on.some(({ value }) => depth(value) <= 1 && opens(act, depth(value), 'USE CATALOG', 1));
  const isLive = ({ expires }: GrantEntry) => expires === undefined || expires.value > now;
  const isOpen =
    documents.owners.some(({ on }) => admits('OWNER', on)) ||
    documents.grants
      .filter((grant) => grant.to.length > 0 && isLive(grant))
      .some(({ privileges, on }) => privileges.some((privilege) => admits(privilege.value, on)));
  if (isOpen) return;
  const at = { path: files[0]?.path ?? 'policies', line: 1, column: 1 };
  const hint = 'grant USE CATALOG on a catalog to somebody';
  findings.warning('nobody-admitted', at, 'nobody may use any catalog', hint);
}
