import type { CatalogInfo, CatalogSnapshot, ColumnInfo, TableInfo } from '../src/catalog/model.ts';
import { type GroupName, type PrincipalName, parsePrincipalName } from '../src/kernel/principal.ts';
import type { Privilege } from '../src/kernel/privilege.ts';
import { parseSecurableName, type SecurableName } from '../src/kernel/securable-name.ts';
import type { GrantEntry, GroupEntry, PolicyDocuments, PrincipalOrGroup } from '../src/policy/document.ts';
import type { PolicyFile } from '../src/policy/model.ts';

// A company that is always the same: 10 catalogs of 100 schemas of 10 tables; 1,000 groups nested by tens; 10,000 people
// in three groups each. Only the number of grants varies.

export const catalogCount = 10;
export const schemaCount = 1_000;
export const tableCount = 10_000;
export const groupCount = 1_000;
export const userCount = 10_000;

const at = { path: 'bench.yaml', line: 1, column: 1 };
const placed = <T>(value: T) => ({ value, at });

/** The same numbers in every run (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const names = (count: number, name: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => parseSecurableName(name(i)));

export const catalogs = names(catalogCount, (i) => `c${i}`);
export const schemas = names(schemaCount, (i) => `c${i % catalogCount}.s${i}`);
export const tables = names(tableCount, (i) => `${schemas[i % schemaCount]}.t${i}`);
export const users = Array.from({ length: userCount }, (_, i) => parsePrincipalName(`u${i}@x.io`));
export const groups = Array.from({ length: groupCount }, (_, i) => `g${i}` as GroupName);

/** Group i is in group i/10, down to ten that stand on top; each person is in three. */
export function membersOf(): ReadonlyMap<GroupName, readonly PrincipalOrGroup[]> {
  const members = new Map<GroupName, PrincipalOrGroup[]>(groups.map((group) => [group, []]));
  const add = (i: number, member: PrincipalOrGroup) => members.get(`g${i}` as GroupName)?.push(member);
  for (let i = 10; i < groupCount; i++) add(Math.floor(i / 10), groups[i] as GroupName);
  const random = randomFrom(1);
  for (const user of users)
    for (const i of new Set([random(groupCount), random(groupCount), random(groupCount)])) add(i, user);
  return members;
}

export interface Grant {
  readonly to: PrincipalOrGroup;
  readonly on: SecurableName;
  readonly privilege: Privilege;
}

/**
 * Each grant once. The ten groups on top may use all catalogs and schemas; the rest gives SELECT or MODIFY on schemas and
 * tables, one in twenty to a person by name.
 */
export function grantsOf(count: number): readonly Grant[] {
  const random = randomFrom(2);
  const seen = new Set<number>();
  const grants: Grant[] = groups.slice(0, 10).flatMap((to) =>
    catalogs.flatMap((on): Grant[] => [
      { to, on, privilege: 'USE CATALOG' },
      { to, on, privilege: 'USE SCHEMA' },
    ]),
  );
  while (grants.length < count) {
    const onSchema = random(50) === 0;
    const list = onSchema ? schemas : tables;
    const on = random(list.length);
    const select = onSchema || random(3) > 0;
    const named = random(20) === 0;
    const subject = named ? groupCount + random(userCount) : random(groupCount);
    const key = ((subject * 16_384 + on) * 2 + Number(onSchema)) * 2 + Number(select);
    if (seen.has(key)) continue;
    seen.add(key);
    const to = (named ? users[subject - groupCount] : groups[subject]) as PrincipalOrGroup;
    grants.push({ to, on: list[on] as SecurableName, privilege: select ? 'SELECT' : 'MODIFY' });
  }
  return grants;
}

export function documentsOf(grants: readonly Grant[]): PolicyDocuments {
  const none: never[] = [];
  const entries: GroupEntry[] = [...membersOf()].map(([name, members]) => ({
    name: placed(name),
    members: members.map(placed),
    source: undefined,
  }));
  const on = new Map([...catalogs, ...schemas, ...tables].map((name) => [name, [placed(name)]]));
  const to = new Map([...groups, ...users].map((name) => [name as PrincipalOrGroup, [placed(name)]]));
  const written = new Map<Privilege, GrantEntry['privileges']>();
  const privileges = (name: Privilege) => {
    const known = written.get(name) ?? [placed(name)];
    written.set(name, known);
    return known;
  };
  return {
    groups: entries,
    servicePrincipals: none,
    attributes: none,
    tags: none,
    assign: none,
    require: none,
    owners: none,
    grants: grants.map((grant) => ({
      at,
      on: on.get(grant.on) ?? [],
      to: to.get(grant.to) ?? [],
      privileges: privileges(grant.privilege),
      assume: undefined,
      expires: undefined,
      clusters: undefined,
    })),
    policies: none,
    testTables: none,
    tests: none,
    invariants: none,
  };
}

const column = (name: string, position: number): ColumnInfo => ({
  name,
  type: 'text',
  engineType: 'text',
  position,
  nullable: true,
  generated: false,
});

export function catalogSnapshot(): CatalogSnapshot {
  const columns = ['id', 'region', 'email', 'phone', 'note'].map((name, i) => column(name, i + 1));
  const infos = catalogs.map((name): [SecurableName, CatalogInfo] => [
    name,
    { name, kind: 'POSTGRES', cluster: 'main', database: name },
  ]);
  const found = tables.map((name): [SecurableName, TableInfo] => [name, { name, kind: 'TABLE', columns }]);
  return {
    catalogs: new Map(infos),
    schemas: new Set(schemas),
    tables: new Map(found),
    functions: new Map(),
    partitions: new Map(),
    digest: 'bench',
  };
}

/**
 * Policy files as a team would write them, one file per kind: groups with their members, tags on every column that a
 * policy matches, policies, and grants of several privileges to several groups a row.
 */
export function policyTexts(grants: number): readonly PolicyFile[] {
  const members = [...membersOf()].map(([name, list]) => `  ${name}: { members: [${list.join(', ')}] }`);
  const tagged = tables.flatMap((name, i) =>
    ['region', 'email', 'phone'].filter((_, k) => i % (k + 2) === 0).map((one) => ({ name, one })),
  );
  const assign = tagged.map(({ name, one }) => `  - { on: ${name}.${one}, tags: { pii: ${one} } }`);
  const random = randomFrom(3);
  const rows = Array.from({ length: grants }, (_, i) => grantRow(i, random));
  const masks = (one: string) =>
    `  - { name: ${one}_mask, on: metastore, columnMask: "left(value, 1) || '***'", match: { value: { pii: ${one} } }, to: all users, except: [g7, g8] }`;
  const opened = groups.slice(0, 10).join(', ');
  const texts = [
    ['kind: principals', 'groups:', ...members].join('\n'),
    ['kind: tags', 'tags: { pii: { values: [region, email, phone] } }', 'assign:', ...assign].join('\n'),
    [
      'kind: grants',
      'grants:',
      `  - { on: [${catalogs.join(', ')}], to: [${opened}], privileges: [USE CATALOG, USE SCHEMA] }`,
      ...rows,
    ].join('\n'),
    [
      'kind: policies',
      'policies:',
      masks('email'),
      masks('phone'),
      `  - { name: own_region, on: metastore, rowFilter: "region = any(attribute('region'))", match: { region: { pii: region } }, to: all users, except: g9 }`,
    ].join('\n'),
  ];
  return texts.map((text, i) => ({ path: `${i}.yaml`, text }));
}

function grantRow(i: number, random: (below: number) => number): string {
  const to = `[g${random(groupCount)}, g${random(groupCount)}]`;
  if (i % 10 === 0) return `  - { on: ${schemas[random(schemaCount)]}, to: ${to}, privileges: [SELECT] }`;
  return `  - { on: ${tables[random(tableCount)]}, to: ${to}, privileges: [SELECT, MODIFY] }`;
}

export type Question = readonly [PrincipalName, SecurableName];

/** Pairs of a person and a table, each pair once. */
export function questions(count: number, seed: number): readonly Question[] {
  const random = randomFrom(seed);
  const seen = new Set<number>();
  const pairs: Question[] = [];
  while (pairs.length < count) {
    const [user, table] = [random(userCount), random(tableCount)];
    if (seen.has(user * tableCount + table)) continue;
    seen.add(user * tableCount + table);
    pairs.push([users[user] as PrincipalName, tables[table] as SecurableName]);
  }
  return pairs;
}
