import type { TextRow } from '../../lake/engine.ts';

// COPY … TO STDOUT: rows as Postgres' text and CSV formats write them. Pure.

export interface CopyFormat {
  readonly format: 'text' | 'csv';
  readonly header: boolean;
  readonly delimiter: string;
  readonly null: string;
  readonly quote: string;
}

export function copyHeader(names: readonly string[], format: CopyFormat): string {
  return copyLine(names, format);
}

/** One line with its line end. */
export function copyLine(row: TextRow, format: CopyFormat): string {
  const print = format.format === 'csv' ? csvValue : textValue;
  return `${row.map((value) => (value === null ? format.null : print(value, format))).join(format.delimiter)}\n`;
}

const textEscapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

function textValue(value: string, format: CopyFormat): string {
  const escaped = value.replaceAll(/[\\\b\f\n\r\t\v]/g, (c) => textEscapes[c] ?? c);
  return format.delimiter === '\t' ? escaped : escaped.replaceAll(format.delimiter, `\\${format.delimiter}`);
}

/** Quoted where it must be; a value that reads like NULL is quoted too. */
function csvValue(value: string, { delimiter, quote, null: nullText }: CopyFormat): string {
  const must =
    value === nullText || value === '\\.' || [delimiter, quote, '\n', '\r'].some((c) => value.includes(c));
  return must ? quote + value.replaceAll(quote, quote + quote) + quote : value;
}
