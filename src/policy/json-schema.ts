import { z } from 'zod';
import { privileges } from '../kernel/privilege.ts';
import { managedPath } from './parse-invariants.ts';

// The shape of one policy document, for editors. The readers of the files decide (they know places and report all
// errors); this says the same to a machine, and a test holds both to the sample.

const name = z.string().min(1);
const oneOrMany = <T extends z.ZodType>(one: T) => z.union([one, z.array(one)]);
const comment = z.string().optional().describe('for people; without meaning');
const scalar = z.union([z.string(), z.number(), z.boolean()]);
const securables = oneOrMany(name).describe('catalog.schema.table[.column], a list of names, or metastore');
const principals = oneOrMany(name).describe('users, service principals, groups, or "all users"');
const tagConditions = z
  .record(name, z.union([z.literal(true), oneOrMany(scalar)]))
  .describe('tag: value, one of several values, or true for any');
const clusters = z.record(name, scalar).optional().describe('labels that the cluster must carry');
const privilege = z
  .union([z.enum(privileges), z.enum(privileges.map((one) => one.replaceAll(' ', '_')))])
  .describe("Unity Catalog's privileges, with spaces or underscores");

/**
 * An entry has one of several forms, each with keys of its own; what belongs to no form belongs to all. The order of the
 * shape is the one in which `writ policy fmt` writes them.
 */
function formsOf(shape: z.ZodRawShape, ...forms: readonly (readonly string[])[]) {
  const special = new Set(forms.flat());
  const keysOf = (form: readonly string[]) =>
    Object.entries(shape).filter(([key]) => !special.has(key) || form.includes(key));
  return z.union(forms.map((form) => z.strictObject(Object.fromEntries(keysOf(form)))));
}

const source = z.enum(['claim', 'scim']).describe('who says who is in it, instead of the files');
const group = formsOf({ members: principals, source, comment }, ['members'], ['source']).describe(
  'members, or a source outside the files',
);

const principalsDocument = z.strictObject({
  kind: z.literal('principals').describe('people and programs'),
  groups: z.record(name, group).optional().describe('groups by name'),
  servicePrincipals: z
    .record(name, z.strictObject({ comment }))
    .optional()
    .describe('programs that sign in; users need not be listed'),
  attributes: z
    .record(name, z.record(name, oneOrMany(scalar)))
    .optional()
    .describe("texts by person and name, for attribute('name') in filters; a missing one is empty"),
  comment,
});

const tagsDocument = z.strictObject({
  kind: z.literal('tags').describe('tags and where they are'),
  tags: z
    .record(
      name,
      z.strictObject({
        values: z.array(scalar).optional().describe('the only values; any when absent'),
        comment,
      }),
    )
    .optional()
    .describe('governed tags by name'),
  assign: z
    .array(
      z.strictObject({
        on: securables,
        tags: z.record(name, scalar).describe('tag: value'),
        comment,
      }),
    )
    .optional()
    .describe('tags of catalogs, schemas, tables (inherited) and columns (their own)'),
  require: z
    .array(
      z.strictObject({
        columnsLike: oneOrMany(name).describe('`*` any characters, `?` one'),
        tag: name.describe('the tag that they must carry'),
        comment,
      }),
    )
    .optional()
    .describe('columns whose names look like these must carry the tag'),
  comment,
});

const grant = formsOf(
  {
    on: securables,
    to: principals,
    privileges: oneOrMany(privilege).describe('what is granted, here and below'),
    assume: name.describe('an unmanaged role of the database that the principal may act as'),
    expires: name.optional().describe('2026-12-31 (end of that day, UTC) or 2026-12-31T18:00:00Z'),
    clusters,
    comment,
  },
  ['privileges'],
  ['assume'],
);

const grantsDocument = z.strictObject({
  kind: z.literal('grants').describe('owners and grants'),
  owners: z
    .array(
      z.strictObject({ on: securables, owner: name.describe('a user, service principal or group'), comment }),
    )
    .optional()
    .describe('who administers what'),
  grants: z.array(grant).optional().describe('who may do what'),
  comment,
});

const policy = formsOf(
  {
    name: name.describe('unique'),
    on: securables,
    rowFilter: name.describe('a boolean expression: rows for which it is false or NULL are hidden'),
    columnMask: name.describe('an expression of the type of the column that match.value finds'),
    match: z
      .record(name, tagConditions)
      .optional()
      .describe('name in the expression: the tags of its column'),
    when: tagConditions.optional().describe("the table's own or inherited tags"),
    to: principals,
    except: principals.optional().describe('whom it does not bind, though `to` names them'),
    strength: z.int().optional().describe('of several masks on a column the strongest wins; 0 when absent'),
    clusters,
    comment,
  },
  ['rowFilter'],
  ['columnMask', 'strength'],
);

const policiesDocument = z.strictObject({
  kind: z.literal('policies').describe('row filters and column masks'),
  policies: z.array(policy).optional().describe('row filters and column masks'),
  comment,
});

const test = formsOf(
  {
    as: name.describe('who asks'),
    query: name.describe('SQL over the tables of the tests'),
    rows: z.array(z.array(z.unknown())).describe('what it must answer'),
    can: privilege.describe('what must be allowed on `on`'),
    cannot: privilege.describe('what must be denied on `on`'),
    on: name.describe('the securable of `can` or `cannot`'),
    because: name.optional().describe('words that the reason must hold'),
    comment,
  },
  ['query', 'rows'],
  ['can', 'on', 'because'],
  ['cannot', 'on', 'because'],
);

const invariant = formsOf(
  {
    forall: z
      .strictObject({
        tag: name.describe('a tag'),
        value: oneOrMany(scalar).optional().describe('values of it; absent: whatever the value'),
      })
      .describe('what carries this tag'),
    unmaskedOnlyFor: principals.describe('nobody else sees these columns unmasked'),
    filteredExceptFor: principals.describe('everybody else who reads these tables is bound by a row filter'),
    readableOnlyBy: principals.describe('nobody else reads them at all'),
    on: securables,
    privilege,
    onlyFor: principals.describe('nobody else holds the privilege there or below'),
    by: z.literal(managedPath).optional().describe('which ways are counted: all that Writ manages'),
    comment,
  },
  ['forall', 'unmaskedOnlyFor'],
  ['forall', 'filteredExceptFor'],
  ['forall', 'readableOnlyBy'],
  ['on', 'privilege', 'onlyFor'],
);

const testsDocument = z.strictObject({
  kind: z.literal('tests').describe('what must come out'),
  tables: z
    .record(name, z.array(z.record(name, z.unknown())))
    .optional()
    .describe('rows by table, for queries'),
  tests: z.array(test).optional().describe('decisions and rows that must come out'),
  invariants: z.array(invariant).optional().describe('what must hold for the whole catalog'),
  comment,
});

/** One document of a policy file. */
export const policyDocumentSchema = z.discriminatedUnion('kind', [
  principalsDocument,
  tagsDocument,
  grantsDocument,
  policiesDocument,
  testsDocument,
]);

/** JSON Schema (2020-12) of one document: what `writ policy schema` prints. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: 'Writ policy document', ...z.toJSONSchema(policyDocumentSchema) };
}
