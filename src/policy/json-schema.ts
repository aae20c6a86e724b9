import { z } from 'zod';
import { privileges } from '../kernel/privilege.ts';
import { managedPath } from './parse-invariants.ts';

// The shape of one policy document, for editors. The readers of the files decide (they know places and report all
// errors); this says the same to a machine, and a test holds both to the sample.

const name = z.string().min(1);
const oneOrMany = <T extends z.ZodType>(one: T) => z.union([one, z.array(one)]);
const comment = z.string().optional();
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

const group = z
  .strictObject({ members: principals.optional(), source: z.enum(['claim', 'scim']).optional(), comment })
  .describe('members, or a source outside the files');

const principalsDocument = z.strictObject({
  kind: z.literal('principals'),
  groups: z.record(name, group).optional(),
  servicePrincipals: z.record(name, z.strictObject({ comment })).optional(),
  attributes: z.record(name, z.record(name, oneOrMany(scalar))).optional(),
  comment,
});

const tagsDocument = z.strictObject({
  kind: z.literal('tags'),
  tags: z.record(name, z.strictObject({ values: z.array(scalar).optional(), comment })).optional(),
  assign: z.array(z.strictObject({ on: securables, tags: z.record(name, scalar), comment })).optional(),
  require: z
    .array(z.strictObject({ columnsLike: oneOrMany(name), tag: name, comment }))
    .optional()
    .describe('columns whose names look like these must carry the tag'),
  comment,
});

const grant = z.strictObject({
  on: securables,
  to: principals,
  privileges: oneOrMany(privilege).optional(),
  assume: name.optional().describe('an unmanaged role of the database that the principal may act as'),
  expires: name.optional().describe('2026-12-31 (end of that day, UTC) or 2026-12-31T18:00:00Z'),
  clusters,
  comment,
});

const grantsDocument = z.strictObject({
  kind: z.literal('grants'),
  owners: z.array(z.strictObject({ on: securables, owner: name, comment })).optional(),
  grants: z.array(grant).optional(),
  comment,
});

const policy = z.strictObject({
  name,
  on: securables,
  rowFilter: name.optional().describe('a boolean expression: rows for which it is false or NULL are hidden'),
  columnMask: name.optional().describe('an expression of the type of the column that match.value finds'),
  match: z.record(name, tagConditions).optional().describe('name in the expression: the tags of its column'),
  when: tagConditions.optional().describe("the table's own or inherited tags"),
  to: principals,
  except: principals.optional(),
  strength: z.int().optional().describe('of several masks on a column the strongest wins; 0 when absent'),
  clusters,
  comment,
});

const policiesDocument = z.strictObject({
  kind: z.literal('policies'),
  policies: z.array(policy).optional(),
  comment,
});

const test = z.strictObject({
  as: name,
  query: name.optional(),
  rows: z.array(z.array(z.unknown())).optional(),
  can: privilege.optional(),
  cannot: privilege.optional(),
  on: name.optional(),
  because: name.optional(),
  comment,
});

const tagInvariant = z
  .strictObject({
    forall: z.strictObject({ tag: name, value: oneOrMany(scalar).optional() }),
    unmaskedOnlyFor: principals.optional(),
    filteredExceptFor: principals.optional(),
    readableOnlyBy: principals.optional(),
    by: z.literal(managedPath).optional(),
    comment,
  })
  .describe('what carries the tag is unmasked, unfiltered or readable for nobody but these');

const privilegeInvariant = z
  .strictObject({
    on: securables,
    privilege,
    onlyFor: principals,
    by: z.literal(managedPath).optional(),
    comment,
  })
  .describe('nobody but these holds the privilege there or below');

const testsDocument = z.strictObject({
  kind: z.literal('tests'),
  tables: z.record(name, z.array(z.record(name, z.unknown()))).optional(),
  tests: z.array(test).optional(),
  invariants: z.array(z.union([tagInvariant, privilegeInvariant])).optional(),
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
