import fc from 'fast-check';
import { customers, orders, type Relation, type Row, relations } from './policy-model-rows.ts';

// Random small policies, their files, and by hand what they mean: who reads which rows and values. Written from the
// words of the model alone; it imports nothing of what it judges.

export const catalogName = 'shop';
export const people = ['ann@x.io', 'bob@x.io', "o'neil@x.io", 'robot', 'stranger@x.io'];
/** A group lists only groups behind it, so that there is no cycle. */
const groups = ['alpha', 'beta gamma', 'delta'];
const subjects = [...people.slice(0, 4), ...groups, 'all users'];
const places = ['shop', 'shop.public', ...relations.map(({ name }) => name)];

const filterTexts: Readonly<Record<string, (who: Who, row: Row) => boolean>> = {
  "region = any(attribute('region'))": (who, row) => who.regions.includes(row['region'] ?? ''),
  "region <> 'EMEA'": (_, row) => row['region'] !== 'EMEA',
  "is_member('alpha') or region = 'APAC'": (who, row) => who.groups.has('alpha') || row['region'] === 'APAC',
  "not is_member('beta gamma')": (who) => !who.groups.has('beta gamma'),
};

const maskTexts: Readonly<Record<string, (who: Who, value: string, row: Row) => string | null>> = {
  "left(value, 1) || '*'": (_, value) => `${value.slice(0, 1)}*`,
  "'hidden'": () => 'hidden',
  "case when is_member('delta') then value end": (who, value) => (who.groups.has('delta') ? value : null),
  'principal()': (who) => who.name,
  "case when region = 'EMEA' then value else 'x' end": (_, value, row) =>
    row['region'] === 'EMEA' ? value : 'x',
  'left(value, 2) || any_region': (_, value, row) => `${value.slice(0, 2)}${row['region']}`,
};

interface Audience {
  readonly to: readonly string[];
  readonly except: readonly string[];
}
interface Filter extends Audience {
  readonly on: string;
  readonly text: string;
}
interface Mask extends Audience {
  readonly on: string;
  readonly text: string;
  readonly pii: 'email' | 'phone' | undefined;
  readonly when: boolean;
}
interface Grant {
  readonly on: string;
  readonly to: readonly string[];
  readonly privileges: readonly string[];
}

export interface Written {
  readonly members: Readonly<Record<string, readonly string[]>>;
  readonly regions: Readonly<Record<string, readonly string[]>>;
  readonly owners: Readonly<Record<string, string>>;
  readonly grants: readonly Grant[];
  /** Columns that carry `pii`, with its value; the tag `secret` on tables or what is above them. */
  readonly pii: Readonly<Record<string, 'email' | 'phone'>>;
  readonly residency: readonly string[];
  readonly secret: readonly string[];
  readonly filters: readonly Filter[];
  /** By strength, the strongest first. */
  readonly masks: readonly Mask[];
}

const some = <T>(list: readonly T[], least = 0, most = list.length) =>
  fc.subarray([...list], { minLength: least, maxLength: Math.min(most, list.length) });
const audience = { to: some(subjects, 1, 3), except: some(subjects.slice(0, -1), 0, 2) };

const wide: Grant = { on: 'shop', to: ['all users'], privileges: ['USE CATALOG', 'USE SCHEMA'] };
/** Admitted whatever else is said, and nobody who is looked at: a policy that admits nobody is refused. */
const keeper: Grant = { on: 'shop', to: ['keeper@x.io'], privileges: ['USE CATALOG', 'USE SCHEMA'] };
const grant = fc.record({
  on: fc.constantFrom(...places),
  to: some(subjects, 1, 3),
  privileges: fc.oneof(
    fc.constant(['SELECT']),
    fc.constant(['ALL PRIVILEGES']),
    fc.constant(['MANAGE']),
    fc.constant(['MODIFY']),
  ),
});
const use = fc.record({
  on: fc.constant('shop'),
  to: some(subjects, 2, 5),
  privileges: some(['USE CATALOG', 'USE SCHEMA'], 1),
});
const scopes = fc.constantFrom('metastore', 'shop', 'shop.public', 'shop.public.customers');

export const written: fc.Arbitrary<Written> = fc.record({
  members: fc.record(
    Object.fromEntries(
      groups.map((name, i) => [name, some([...people.slice(0, 4), ...groups.slice(i + 1)], 0, 3)]),
    ),
  ),
  regions: fc.dictionary(fc.constantFrom(...people.slice(0, 3)), some(['EMEA', 'APAC', "O'N"], 1)),
  owners: fc.dictionary(fc.constantFrom(...places), fc.constantFrom(...subjects.slice(0, -1)), {
    maxKeys: 2,
  }),
  grants: fc
    .tuple(fc.array(grant, { minLength: 1, maxLength: 4 }), fc.oneof(fc.constant(wide), use))
    .map(([list, uses]) => [...list, uses, keeper]),
  pii: fc.dictionary(
    fc.constantFrom('shop.public.customers.email', 'shop.public.customers.phone', 'shop.public.orders.note'),
    fc.constantFrom('email', 'phone'),
  ),
  residency: some(['shop.public.customers.region', 'shop.public.orders.region']),
  secret: some(['shop', 'shop.public', 'shop.public.customers', 'shop.public.orders'], 0, 2),
  filters: fc.array(
    fc.record({ on: scopes, text: fc.constantFrom(...Object.keys(filterTexts)), ...audience }),
    { maxLength: 2 },
  ),
  masks: fc.array(
    fc.record({
      on: scopes,
      text: fc.constantFrom(...Object.keys(maskTexts)),
      pii: fc.constantFrom('email', 'phone', undefined),
      when: fc.boolean(),
      ...audience,
    }),
    { maxLength: 3 },
  ),
});

/** The files; JSON is YAML. */
export function policyText(policy: Written): string {
  const tags = [
    ...Object.entries(policy.pii).map(([on, value]) => ({ on, tags: { pii: value } })),
    ...policy.residency.map((on) => ({ on, tags: { residency: 'region' } })),
    ...policy.secret.map((on) => ({ on, tags: { secret: 'yes' } })),
  ];
  const documents: readonly object[] = [
    {
      kind: 'principals',
      groups: Object.fromEntries(
        Object.entries(policy.members).map(([name, members]) => [name, { members }]),
      ),
      servicePrincipals: { robot: {} },
      attributes: Object.fromEntries(
        Object.entries(policy.regions).map(([name, region]) => [name, { region }]),
      ),
    },
    {
      kind: 'tags',
      tags: {
        pii: { values: ['email', 'phone'] },
        residency: { values: ['region'] },
        secret: { values: ['yes'] },
      },
      assign: tags,
    },
    {
      kind: 'grants',
      owners: Object.entries(policy.owners).map(([on, owner]) => ({ on, owner })),
      grants: policy.grants,
    },
    {
      kind: 'policies',
      policies: [...policy.filters.map(filterDocument), ...policy.masks.map(maskDocument)],
    },
  ];
  return documents.map((one) => JSON.stringify(one)).join('\n---\n');
}

const filterDocument = ({ on, text, to, except }: Filter, i: number) => ({
  name: `filter_${i}`,
  on,
  rowFilter: text,
  ...(text.includes('region') ? { match: { region: { residency: 'region' } } } : {}),
  to,
  except,
});

/** Names under which a text asks for the region: it applies where a column carries that tag. */
const regionNames = (text: string) =>
  ['region', 'any_region'].filter((name) => text.split(/\W/).includes(name));

const maskDocument = ({ on, text, pii, when, to, except }: Mask, i: number) => ({
  name: `mask_${i}`,
  on,
  columnMask: text,
  match: {
    value: { pii: pii ?? true },
    ...Object.fromEntries(regionNames(text).map((name) => [name, { residency: 'region' }])),
  },
  ...(when ? { when: { secret: 'yes' } } : {}),
  strength: 10 - i,
  to,
  except,
});

interface Who {
  readonly name: string;
  readonly groups: ReadonlySet<string>;
  readonly regions: readonly string[];
}

function whoIs(policy: Written, name: string): Who {
  const found = new Set(['all users']);
  // From behind: a group that lists another stands before it.
  for (const group of [...groups].reverse())
    if (policy.members[group]?.some((member) => member === name || found.has(member))) found.add(group);
  return { name, groups: found, regions: policy.regions[name] ?? [] };
}

const isAmong = (who: Who, list: readonly string[]) =>
  list.some((name) => name === who.name || who.groups.has(name));
const binds = (who: Who, { to, except }: Audience) => isAmong(who, to) && !isAmong(who, except);
const within = (name: string, scope: string) =>
  scope === 'metastore' || name === scope || name.startsWith(`${scope}.`);

/** Whether a gate is open: by a grant here or above, by owning the thing, or by owning what is above it and only using. */
function isOpen(policy: Written, who: Who, privilege: string, on: string): boolean {
  const granted = policy.grants.some(
    (grant) =>
      within(on, grant.on) &&
      isAmong(who, grant.to) &&
      (grant.privileges.includes(privilege) || grant.privileges.includes('ALL PRIVILEGES')),
  );
  const owned = Object.entries(policy.owners).some(
    ([name, owner]) =>
      isAmong(who, [owner]) && (name === on || (within(on, name) && privilege.startsWith('USE '))),
  );
  return granted || owned;
}

const filtersOf = (policy: Written, who: Who, table: string) =>
  policy.filters.filter(
    (filter) =>
      within(table, filter.on) &&
      (!filter.text.includes('region') || policy.residency.includes(`${table}.region`)) &&
      binds(who, filter),
  );

const isSecret = (policy: Written, table: string) => policy.secret.some((on) => within(table, on));

function maskOf(policy: Written, who: Who, table: string, column: string): Mask | undefined {
  const tag = policy.pii[`${table}.${column}`];
  if (tag === undefined) return undefined;
  return policy.masks.find(
    (mask) =>
      within(table, mask.on) &&
      (mask.pii === undefined || mask.pii === tag) &&
      (!mask.when || isSecret(policy, table)) &&
      (regionNames(mask.text).length === 0 || policy.residency.includes(`${table}.region`)) &&
      binds(who, mask),
  );
}

/** A table's rows as one person has them, whoever asks for them and by which view. */
function shown(policy: Written, who: Who, table: string, rows: readonly Row[]) {
  const filters = filtersOf(policy, who, table);
  return rows
    .filter((row) => filters.every(({ text }) => filterTexts[text]?.(who, row) === true))
    .map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([column, value]) => {
          const mask = maskOf(policy, who, table, column);
          return [column, mask === undefined ? value : (maskTexts[mask.text]?.(who, value, row) ?? null)];
        }),
      ),
    );
}

/** Columns of the tables that a mask is on for this person. */
export function masks(policy: Written, name: string): readonly string[] {
  return Object.keys(policy.pii).filter((on) => {
    const dot = on.lastIndexOf('.');
    return maskOf(policy, whoIs(policy, name), on.slice(0, dot), on.slice(dot + 1)) !== undefined;
  });
}

function rowsIn(policy: Written, who: Who, { name }: Relation) {
  const ofCustomers = () => shown(policy, who, 'shop.public.customers', customers);
  const ofOrders = () => shown(policy, who, 'shop.public.orders', orders);
  switch (name) {
    case 'shop.public.orders':
      return ofOrders();
    case 'shop.public.both':
      return ofCustomers().flatMap((customer) =>
        ofOrders()
          .filter(({ id }) => id === customer['id'])
          .map((order) => ({ ...customer, ...order })),
      );
    default:
      return ofCustomers();
  }
}

/** What a person sees of a relation: rows as texts, sorted; or that it is refused. */
export function expected(policy: Written, name: string, relation: string): readonly string[] | 'refused' {
  const who = whoIs(policy, name);
  const known = relations.find((one) => one.name === relation);
  const allowed =
    isOpen(policy, who, 'USE CATALOG', 'shop') &&
    isOpen(policy, who, 'USE SCHEMA', 'shop.public') &&
    isOpen(policy, who, 'SELECT', relation);
  if (!allowed || known === undefined) return 'refused';
  return rowsIn(policy, who, known)
    .map((row) => JSON.stringify(known.columns.map((column) => row[column])))
    .sort();
}
