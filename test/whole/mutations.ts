import { type Document, type Node, parseAllDocuments } from 'yaml';

// Every row of a policy file removed or widened, one at a time: what a careless change would do.

export interface Mutant {
  /** `grants.0.to + all users` */
  readonly name: string;
  readonly text: string;
}

type Path = readonly (string | number)[];
interface Change {
  readonly path: Path;
  readonly what: string;
  /** Undefined: removed. */
  readonly value: unknown;
}

/** `kind: tests` documents stay as they are. `people`: everybody who may be put where they do not belong. */
export function mutantsOf(text: string, people: readonly string[]): readonly Mutant[] {
  const documents = parseAllDocuments(text) as Document[];
  return documents.flatMap((document, i) => {
    const kind = String(document.get('kind'));
    if (kind === 'tests') return [];
    const data = document.toJS() as Data;
    return changesOf(kind, data, people).map(({ path, what, value }): Mutant => {
      const copies = parseAllDocuments(text) as Document[];
      const copy = copies[i];
      if (copy === undefined) throw new Error('no such document');
      if (value === undefined) copy.deleteIn(path);
      else copy.setIn(path, copy.createNode(value) as Node);
      return {
        name: `${path.join('.')}: ${what}`,
        text: copies.map((one) => `---\n${one.toString({ directives: false })}`).join(''),
      };
    });
  });
}

interface Data {
  readonly groups?: Record<string, { members: string[] }>;
  readonly servicePrincipals?: Record<string, object>;
  readonly attributes?: Record<string, Record<string, string[]>>;
  readonly tags?: Record<string, { values: string[] }>;
  readonly assign?: { on: string | string[]; tags: Record<string, string> }[];
  readonly require?: { columnsLike: string[] }[];
  readonly owners?: { on: string[]; owner: string }[];
  readonly grants?: { on: string | string[]; to: string; privileges: string[] }[];
  readonly policies?: {
    rowFilter?: string;
    columnMask?: string;
    except: string[];
    match: Record<string, Record<string, string>>;
  }[];
}

function changesOf(kind: string, data: Data, people: readonly string[]): readonly Change[] {
  switch (kind) {
    case 'principals':
      return principalChanges(data, people);
    case 'tags':
      return tagChanges(data);
    case 'grants':
      return grantChanges(data);
    default:
      return policyChanges(data);
  }
}

const removed = (path: Path): Change => ({ path, what: 'removed', value: undefined });
const eachRemoved = (path: Path, list: readonly unknown[]): Change[] =>
  list.map((_, i) => removed([...path, i]));
const each = <T>(map: Record<string, T> | undefined): [string, T][] => Object.entries(map ?? {});

function principalChanges(
  { groups, servicePrincipals, attributes }: Data,
  people: readonly string[],
): Change[] {
  const regions = ['EMEA', 'APAC', 'AMER'];
  return [
    ...each(groups).flatMap(([name, { members }]) => [
      removed(['groups', name]),
      ...eachRemoved(['groups', name, 'members'], members),
      ...people
        .filter((person) => !members.includes(person))
        .map((person) => ({
          path: ['groups', name, 'members'],
          what: `+ ${person}`,
          value: [...members, person],
        })),
      ...each(groups)
        .filter(([other]) => other !== name)
        .map(([other]) => ({
          path: ['groups', name, 'members'],
          what: `+ ${other}`,
          value: [...members, other],
        })),
    ]),
    ...each(servicePrincipals).map(([name]) => removed(['servicePrincipals', name])),
    ...each(attributes).flatMap(([person, own]) => [
      removed(['attributes', person]),
      ...each(own).flatMap(([attribute, values]) => [
        ...eachRemoved(['attributes', person, attribute], values),
        ...regions
          .filter((region) => !values.includes(region))
          .map((region) => ({
            path: ['attributes', person, attribute],
            what: `+ ${region}`,
            value: [...values, region],
          })),
      ]),
    ]),
    ...people
      .filter((person) => attributes?.[person] === undefined)
      .map((person) => ({
        path: ['attributes', person],
        what: 'given a region',
        value: { region: ['EMEA'] },
      })),
  ];
}

function tagChanges({ tags, assign = [], require = [] }: Data): Change[] {
  return [
    ...each(tags).flatMap(([name, { values }]) => [
      removed(['tags', name]),
      ...eachRemoved(['tags', name, 'values'], values),
    ]),
    ...assign.flatMap(({ on, tags: given }, i) => [
      removed(['assign', i]),
      ...(typeof on === 'string' ? [] : eachRemoved(['assign', i, 'on'], on)),
      ...each(given)
        .filter(([tag]) => tag === 'pii')
        .map(([tag, value]) => {
          const other = value === 'email' ? 'phone' : 'email';
          return { path: ['assign', i, 'tags', tag], what: `is ${other}`, value: other };
        }),
    ]),
    ...require.flatMap(({ columnsLike }, i) => [
      removed(['require', i]),
      ...eachRemoved(['require', i, 'columnsLike'], columnsLike),
    ]),
  ];
}

function grantChanges({ owners = [], grants = [] }: Data): Change[] {
  return [
    ...owners.flatMap(({ on }, i) => [
      removed(['owners', i]),
      ...eachRemoved(['owners', i, 'on'], on),
      ...['analysts', 'auditors', 'loaders'].map((owner) => ({
        path: ['owners', i, 'owner'],
        what: `is ${owner}`,
        value: owner,
      })),
    ]),
    ...grants.flatMap(({ on, to, privileges }, i) => [
      removed(['grants', i]),
      ...(typeof on === 'string' ? [] : eachRemoved(['grants', i, 'on'], on)),
      ...eachRemoved(['grants', i, 'privileges'], privileges),
      ...['MODIFY', 'MANAGE']
        .filter((privilege) => !privileges.includes(privilege))
        .map((privilege) => ({
          path: ['grants', i, 'privileges'],
          what: `+ ${privilege}`,
          value: [...privileges, privilege],
        })),
      { path: ['grants', i, 'privileges'], what: 'is ALL PRIVILEGES', value: ['ALL PRIVILEGES'] },
      { path: ['grants', i, 'to'], what: '+ all users', value: [to, 'all users'] },
      { path: ['grants', i, 'to'], what: '+ stewards', value: [to, 'stewards'] },
      ...wider(on).map((value) => ({ path: ['grants', i, 'on'], what: `is ${value}`, value })),
    ]),
  ];
}

/** What contains the securable: a grant set higher up. */
function wider(on: string | readonly string[]): readonly string[] {
  const names = typeof on === 'string' ? [on] : on;
  const [first = ''] = names;
  const parts = first.split('.');
  return names.length > 1 || parts.length === 1
    ? []
    : parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
}

function policyChanges({ policies = [] }: Data): Change[] {
  return policies.flatMap(({ rowFilter, except, match }, i): Change[] => [
    removed(['policies', i]),
    removed(['policies', i, 'except']),
    ...eachRemoved(['policies', i, 'except'], except),
    ...['analysts', 'auditors', 'platform', 'all users', 'ana@acme.test', 'omar@acme.test'].map((name) => ({
      path: ['policies', i, 'except'],
      what: `+ ${name}`,
      value: [...except, name],
    })),
    ...['stewards', 'loaders', 'ana@acme.test'].map((name) => ({
      path: ['policies', i, 'to'],
      what: `is ${name}`,
      value: [name],
    })),
    ...['shop', 'lake', 'shop.public.orders'].map((on) => ({
      path: ['policies', i, 'on'],
      what: `is ${on}`,
      value: on,
    })),
    ...expressions(rowFilter !== undefined).map(([key, value]) => ({
      path: ['policies', i, key],
      what: `is ${value}`,
      value,
    })),
    ...each(match).flatMap(([name, conditions]) =>
      each(conditions).map(([tag]) => ({
        path: ['policies', i, 'match', name, tag],
        what: 'is true',
        value: true,
      })),
    ),
    ...(rowFilter === undefined
      ? [{ path: ['policies', i, 'when'], what: 'added', value: { residency: 'region' } }]
      : []),
  ]);
}

const expressions = (filter: boolean): readonly [string, string][] =>
  filter
    ? [
        ['rowFilter', 'true'],
        ['rowFilter', "region = any(attribute('region')) or true"],
        ['rowFilter', "region = any(attribute('region')) or is_member('analysts')"],
        ['rowFilter', "region = any(attribute('region')) or region = 'AMER'"],
        ['rowFilter', 'region is not null'],
        ['rowFilter', 'false'],
      ]
    : [
        ['columnMask', 'value'],
        ['columnMask', "value || ''"],
        ['columnMask', 'left(value, 100)'],
        ['columnMask', "case when is_member('analysts') then value else '***' end"],
        ['columnMask', "coalesce(value, '***')"],
      ];
