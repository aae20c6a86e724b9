import { type Sql, sql, standardLiteral } from '../../src/kernel/sql.ts';
import type { BoundColumn } from '../../src/policy/expression/parse.ts';
import { printTrino } from '../../src/policy/expression/print-trino.ts';
import type { PrintContext } from '../../src/policy/expression/printer.ts';
import { type Answers, type Asked, batches, canonical } from '../policy/expression/engines.ts';
import { attributes, columns, groups, principal } from '../policy/expression/expression-cases.ts';
import { fixedRows } from '../policy/expression/hostile-rows.ts';

// The hostile table as rows of a VALUES list, and the random expressions printed for Trino.

const types: Record<string, string> = {
  text: 'VARCHAR',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMP(6)',
  timestamptz: 'TIMESTAMP(6) WITH TIME ZONE',
  uuid: 'UUID',
};

const text = (value: string): Sql => sql`CAST(${standardLiteral(value)} AS VARCHAR)`;

const array = (name: string): Sql => {
  const list = (attributes[name] ?? []).map((value) => text(value).text).join(', ');
  return { ...sql``, text: `CAST(ARRAY[${list}] AS ARRAY(VARCHAR))` };
};

const common = {
  column: (name: string) => ({ ...sql``, text: `"${name}"` }),
  principal: () => text(principal),
  isMember: (group: string) => (groups.includes(group) ? sql`true` : sql`false`),
  attribute: array,
};

/** As an array, and as values known while printing: both ways must answer alike. */
export const trinoContexts: readonly PrintContext[] = [
  common,
  { ...common, attributeValues: (name) => attributes[name] ?? [] },
];

const names = [...columns.keys()].map((name) => `"${name}"`).join(', ');

/** What Trino's dates reach: it knows no infinity, and spells years before Christ in a way of its own. */
export const trinoRows = fixedRows
  .filter((row) => Object.values(row).every((value) => value === null || !/ BC$|infinity$/.test(value)))
  .slice(0, 90);

function typeOf({ type, digits }: BoundColumn): string {
  return digits === undefined
    ? (types[type] ?? type)
    : `DECIMAL(${digits.whole + digits.scale}, ${digits.scale})`;
}

/** The values as texts, cast outside: what is cast is what the engine reads. */
function hostileTable(): string {
  const values = trinoRows.map((row, i) => {
    const cells = [...columns.keys()].map((name) => {
      const value = row[name] ?? null;
      const read = value?.replace(/\+00$/, ' UTC');
      return read === undefined ? 'CAST(NULL AS VARCHAR)' : standardLiteral(read).text;
    });
    return `(${[i, ...cells].join(', ')})`;
  });
  const cast = [...columns].map(([name, column]) => `CAST("${name}" AS ${typeOf(column)}) AS "${name}"`);
  return `(select row_id, ${cast.join(', ')} from (values ${values.join(', ')}) as texts(row_id, ${names}))`;
}

/** `query` runs one statement on Trino and gives its rows. */
export async function askTrino(
  asked: readonly Asked[],
  context: PrintContext,
  query: (text: string) => Promise<readonly (readonly unknown[])[]>,
): Promise<Answers> {
  const answers: (string | null)[][] = [];
  for (const batch of batches(asked)) {
    const list = batch.map(
      ({ expression }, i) => `'.' || CAST(${printTrino(expression, context).text} AS VARCHAR) AS c${i}`,
    );
    const result = await query(`select ${list.join(', ')} from ${hostileTable()} order by row_id`);
    answers.push(
      ...batch.map(({ expression }, i) =>
        result.map((row) => canonical((row[i] ?? null) as string | null, expression.type)),
      ),
    );
  }
  return answers;
}
