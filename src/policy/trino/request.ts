import { z } from 'zod';

// What Trino's OPA plugin sends. Members that we do not decide by are left out, `identity.groups` among them:
// membership is Writ's own. Absent members are absent, never null.

const name = z.string().min(1).max(4096);

const catalogSchema = { catalogName: name, schemaName: name };
const tableShape = z.object({ ...catalogSchema, tableName: name, columns: z.array(name).optional() });
const columnShape = z.object({ ...catalogSchema, tableName: name, columnName: name, columnType: name });
const resourceShape = z.object({
  user: z.object({ user: name }).optional(),
  systemSessionProperty: z.object({ name }).optional(),
  catalogSessionProperty: z.object({ catalogName: name, propertyName: name }).optional(),
  /** ExecuteTableProcedure names no schema: the procedure is its table's. */
  function: z
    .object({ catalogName: name.optional(), schemaName: name.optional(), functionName: name })
    .optional(),
  catalog: z.object({ name }).optional(),
  schema: z.object(catalogSchema).optional(),
  table: tableShape.optional(),
  column: columnShape.optional(),
});

/** The body of every request. */
export const trinoRequest = z.object({
  input: z.object({
    context: z.object({ identity: z.object({ user: z.string().max(4096) }), queryId: name.optional() }),
    action: z.object({
      operation: name,
      resource: resourceShape.optional(),
      targetResource: resourceShape.optional(),
      filterResources: z.array(resourceShape).optional(),
    }),
  }),
});

export type TrinoRequest = z.infer<typeof trinoRequest>;
export type TrinoResource = z.infer<typeof resourceShape>;
export type TrinoTable = z.infer<typeof tableShape>;
export type TrinoColumn = z.infer<typeof columnShape>;
