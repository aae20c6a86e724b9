import type { TableInfo } from '../../catalog/model.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import { join, type Sql, sql, standardLiteral, trustedSql, wideIdentifier } from '../../kernel/sql.ts';
import { usesToken } from '../expression/parts.ts';
import { printTrino } from '../expression/print-trino.ts';
import type { PrintContext } from '../expression/printer.ts';
import type { ColumnMaskRule, RowFilterRule, Snapshot } from '../model.ts';

// Row filters and masks as Trino's SQL. Identity functions become the person's own values: the plugin asks for each person.

/** Hides every row. */
export const noRow = 'false';

/** Fits a column of every type. */
export const noValue = 'NULL';

/** Whose values, of which table. */
export interface Asker {
  readonly snapshot: Snapshot;
  readonly principal: PrincipalName;
  readonly table: TableInfo;
}

export function printFilter(asker: Asker, rule: RowFilterRule): string {
  return printTrino(rule.expression, contextOf(asker, rule.bindings)).text;
}

/** `type`: the column's, as Trino spells it; a mask of another type would be refused there. */
export function printMask(asker: Asker, rule: ColumnMaskRule, type: string): string {
  // A type that we cannot read is not put into SQL, and its value not shown.
  if (!/^[a-z]+(\(\d{1,5}(,\s?\d{1,5})?\))?( with(out)? time zone)?$/.test(type)) return noValue;
  // Its key would have to go to another server with the text.
  if (usesToken(rule.expression)) return noValue;
  const mask = printTrino(rule.expression, contextOf(asker, rule.bindings));
  return sql`CAST(${mask} AS ${trustedSql(type, 'catalog')})`.text;
}

function contextOf(
  { snapshot, principal, table }: Asker,
  bindings: ReadonlyMap<string, string>,
): PrintContext {
  const groups: ReadonlySet<string> = snapshot.groupsOf(principal);
  const attributes = snapshot.attributes(principal);
  const texts = new Set(table.columns.filter(({ type }) => type === 'text').map(({ name }) => name));
  const text = (value: string): Sql => sql`CAST(${standardLiteral(value)} AS VARCHAR)`;
  const values = (name: string) => attributes.get(name) ?? [];
  return {
    column: (name) => {
      const bound = bindings.get(name) ?? name;
      const column = wideIdentifier(bound);
      // A char(n) compares with its blanks and a varchar(n) is a type of its own: text is compared as text.
      return texts.has(bound) ? sql`CAST(${column} AS VARCHAR)` : column;
    },
    principal: () => text(principal),
    isMember: (group) => (groups.has(group) ? sql`true` : sql`false`),
    attribute: (name) => sql`CAST(ARRAY[${join(values(name).map(text))}] AS ARRAY(VARCHAR))`,
    attributeValues: values,
  };
}
