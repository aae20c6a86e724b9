import { WritError } from './errors.ts';

// The only place where SQL text is put together (ARCHITECTURE.md, invariant 4). A bare string inside a template does
// not compile: it must be an identifier, a literal, or SQL that already is one.

declare const sqlBrand: unique symbol;

/** SQL text that was built here. */
export interface Sql {
  readonly text: string;
  readonly [sqlBrand]: true;
}

const make = (text: string): Sql => ({ text }) as Sql;

export function sql(strings: TemplateStringsArray, ...values: readonly Sql[]): Sql {
  return make(strings.reduce((text, part, i) => text + (values[i - 1]?.text ?? '') + part));
}

/** Quoted by doubling; always quoted, so that no keyword and no case can surprise. @throws invalid_name over 63 bytes or NUL */
export function identifier(name: string): Sql {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > 63) {
    throw new WritError('invalid_name', {
      message: `${JSON.stringify(name)} is no Postgres identifier (1 to 63 bytes)`,
    });
  }
  return make(`"${name.replaceAll('"', '""')}"`);
}

/** `schema.name` or `schema.name.column`, each part quoted. */
export function qualified(...parts: readonly string[]): Sql {
  return join(parts.map(identifier), '.');
}

/** A text literal; E'' where it holds a backslash, so that standard_conforming_strings does not matter. */
export function literal(value: string): Sql {
  if (value.includes('\0'))
    throw new WritError('bad_encoding', { message: 'a text literal cannot hold NUL' });
  const doubled = value.replaceAll("'", "''");
  return make(value.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`);
}

/** A text literal of standard SQL (Trino), where a backslash is a character like others and E'' does not exist. */
export function standardLiteral(value: string): Sql {
  if (value.includes('\0'))
    throw new WritError('bad_encoding', { message: 'a text literal cannot hold NUL' });
  return make(`'${value.replaceAll("'", "''")}'`);
}

/** @throws invalid_argument unless a safe integer. */
export function integer(value: number): Sql {
  if (!Number.isSafeInteger(value))
    throw new WritError('invalid_argument', { message: `${value} is no integer` });
  return make(String(value));
}

export function textArray(values: readonly string[]): Sql {
  return sql`array[${join(values.map(literal), ', ')}]::text[]`;
}

export function join(parts: readonly Sql[], separator = ', '): Sql {
  return make(parts.map((part) => part.text).join(separator));
}

/** A dollar-quoted body whose tag does not occur inside. */
export function dollarQuoted(body: Sql): Sql {
  let tag = '$writ$';
  for (let i = 0; body.text.includes(tag); i++) tag = `$writ${i}$`;
  return make(`${tag}${body.text}${tag}`);
}

export const emptySql: Sql = make('');

/**
 * SQL that another engine printed and that we pass on: a `.sql` file of ours, `pg_get_viewdef`, a parsed and rewritten
 * statement. `source` names it, so that a reader can judge each use; there are few.
 */
export function trustedSql(text: string, _source: 'file' | 'catalog' | 'parser' | 'expression'): Sql {
  return make(text);
}

/** An identifier for an engine without Postgres' limit of 63 bytes (DuckDB). @throws invalid_name when empty or with NUL */
export function wideIdentifier(name: string): Sql {
  if (name === '' || name.includes('\0')) {
    throw new WritError('invalid_name', { message: `${JSON.stringify(name)} is no identifier` });
  }
  return make(`"${name.replaceAll('"', '""')}"`);
}
