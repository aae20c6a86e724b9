import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { trinoOperations } from '../../../src/policy/trino/operations.ts';

// Every operation that Trino 476's OPA plugin can send, copied by hand from its documentation and source.
const sent = `
  ImpersonateUser ExecuteQuery ViewQueryOwnedBy FilterViewQueryOwnedBy KillQueryOwnedBy
  ReadSystemInformation WriteSystemInformation SetSystemSessionProperty SetCatalogSessionProperty
  AccessCatalog CreateCatalog DropCatalog FilterCatalogs
  CreateSchema DropSchema RenameSchema SetSchemaAuthorization ShowSchemas FilterSchemas ShowCreateSchema
  ShowCreateTable CreateTable DropTable RenameTable SetTableProperties SetTableComment SetViewComment SetColumnComment
  ShowTables FilterTables ShowColumns FilterColumns AddColumn AlterColumn DropColumn RenameColumn SetTableAuthorization
  SelectFromColumns InsertIntoTable DeleteFromTable TruncateTable UpdateTableColumns
  CreateView RenameView DropView SetViewAuthorization CreateViewWithSelectFromColumns
  CreateMaterializedView RefreshMaterializedView DropMaterializedView RenameMaterializedView
  SetMaterializedViewProperties SetMaterializedViewComment
  ShowFunctions FilterFunctions ExecuteProcedure ExecuteFunction CreateViewWithExecuteFunction ExecuteTableProcedure
  CreateFunction DropFunction ShowCreateFunction GetRowFilters GetColumnMask`
  .trim()
  .split(/\s+/);

const names = trinoOperations.map((operation) => operation.name);

test('every operation has one row, and no row is for nothing', () => {
  expect([...names].sort()).toEqual([...sent].sort());
});

test('filters are not recorded, everything that acts is', () => {
  const recorded = (level: string) =>
    trinoOperations.filter(({ record }) => record === level).map(({ name }) => name);
  expect(recorded('nothing').every((name) => name.startsWith('Filter'))).toBe(true);
  expect(names.filter((name) => name.startsWith('Filter')).sort()).toEqual(recorded('nothing').sort());
  expect(recorded('all')).toEqual(
    expect.arrayContaining(['ExecuteQuery', 'SelectFromColumns', 'InsertIntoTable', 'DropTable']),
  );
});

test('docs/trino.md names every operation and what it needs', () => {
  const page = readFileSync('docs/trino.md', 'utf8');
  for (const { name, needs } of trinoOperations) {
    const line =
      page.split('\n').find((each) => each.startsWith('| `') && each.includes(`\`${name}\``)) ?? '';
    expect(line, name).toContain(`| ${needs} |`);
  }
});
