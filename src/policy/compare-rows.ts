// Rows of a test beside rows of an engine. Pure.

/**
 * Whether the rows are the same. In any order, unless `ordered`.
 *
 * A text expects exactly the engine's text of the value (dates, timestamps, numbers over 2^53 are written so); a number
 * expects a value equal to it (12.5 is 12.50); true and false expect booleans; null expects NULL; a list or map
 * expects equal JSON, where Postgres prints an array as {a,b} too.
 */
export function sameRows(
  expected: readonly (readonly unknown[])[],
  got: readonly (readonly (string | null)[])[],
  ordered: boolean,
): boolean {
  if (expected.length !== got.length) return false;
  if (ordered) return expected.every((row, i) => sameRow(row, got[i] ?? []));
  const left = [...got];
  return expected.every((row) => {
    const at = left.findIndex((other) => sameRow(row, other));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

/** Whether one row is the same. */
export function sameRow(expected: readonly unknown[], got: readonly (string | null)[]): boolean {
  return expected.length === got.length && expected.every((cell, i) => sameCell(cell, got[i] ?? null));
}

const booleans: Readonly<Record<string, boolean>> = { t: true, true: true, f: false, false: false };

function sameCell(expected: unknown, got: string | null): boolean {
  if (expected === null || expected === undefined || got === null)
    return (expected ?? null) === null && got === null;
  switch (typeof expected) {
    case 'number':
      return got.trim() !== '' && Number(got) === expected;
    case 'boolean':
      return booleans[got] === expected;
    case 'object':
      return canonical(expected) === canonical(parsed(got, Array.isArray(expected)));
    default:
      return String(expected) === got;
  }
}

/** JSON, or where a list is expected an array as Postgres prints one of simple texts. */
function parsed(text: string, list: boolean): unknown {
  const inner = list ? /^\{(.*)\}$/s.exec(text)?.[1] : undefined;
  if (inner !== undefined)
    return inner === '' ? [] : inner.split(',').map((one) => one.replace(/^"(.*)"$/s, '$1'));
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(String(value));
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(',')}}`;
}
