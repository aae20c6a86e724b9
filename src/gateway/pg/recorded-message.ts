// The server's error message for the record. It quotes names, and it quotes values: literals of the statement, rows that
// were read. The record keeps a quotation only where the redacted statement says the same. Pure.

/** Quotation marks of the languages that Postgres speaks. */
const marks = /["„“”«»]/g;

/** @param statement as the record has it, literals redacted */
export function recordedMessage(message: string, sqlstate: string, statement: string): string {
  // RAISE in the application's code, foreign servers: their texts may hold anything.
  if (sqlstate === '45000' || /^(?!XX)[A-Z]/.test(sqlstate)) return '<raised by code of the database>';
  // Constraints are named, never values: those stand in DETAIL, which is not recorded.
  if (sqlstate.startsWith('23')) return message;
  const places = [...message.matchAll(marks)].map(({ index }) => index);
  const [first, last] = [places[0], places.at(-1)];
  if (first === undefined || last === undefined) return message;
  const paired = places.length % 2 === 0;
  if (paired && quotations(message, places).every((quoted) => statement.includes(quoted))) return message;
  // From the first to the last: a value may itself hold quotes.
  return `${message.slice(0, first)}"…"${paired ? message.slice(last + 1) : ''}`;
}

function quotations(message: string, places: readonly number[]): readonly string[] {
  return places.flatMap((start, i) => (i % 2 === 0 ? [message.slice(start + 1, places[i + 1])] : []));
}
