import { expect, test } from 'vitest';
import { recordedMessage } from '../../../src/gateway/pg/recorded-message.ts';

test.each([
  ['invalid input syntax for type integer: "hunter2"', '22P02', 'invalid input syntax for type integer: "…"'],
  ['invalid input syntax for type date: "a"hunter2"b"', '22007', 'invalid input syntax for type date: "…"'],
  ['un"paired hunter2', '22P02', 'un"…"'],
  ['ungültig: »hunter2«', '22P02', 'ungültig: "…"'],
  ['no such account: ann', '45000', '<raised by code of the database>'],
  ['role "hunter2" does not exist', '42704', 'role "…" does not exist'],
  ['column "nam" does not exist', '42703', 'column "nam" does not exist'],
  [
    'duplicate key value violates unique constraint "k"',
    '23505',
    'duplicate key value violates unique constraint "k"',
  ],
  ['no account for ann@example.com', 'P0001', '<raised by code of the database>'],
  ['division by zero', '22012', 'division by zero'],
])('%s', (message, sqlstate, kept) => {
  expect(recordedMessage(message, sqlstate, 'select nam from t where x = ?')).toBe(kept);
});
