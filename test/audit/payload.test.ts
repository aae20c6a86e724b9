import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalEvent } from '../../src/audit/canonical.ts';
import type { AuditEvent } from '../../src/audit/event.ts';
import type { NewEvent } from '../../src/audit/log-interface.ts';
import { payloadOf } from '../../src/audit/payload.ts';
import { redactEvent } from '../../src/audit/redact.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string(),
  fc.constantFrom('# "quoted" \\', 'a\tb\nc', 'x'.repeat(40_000), 'é'.repeat(5_000)),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const shared = {
  principal: maybe(text),
  session: maybe(text),
  credential: maybe(text),
  client: maybe(fc.record({ application: maybe(text), address: text })),
  catalog: maybe(text),
  decision: maybe(fc.constantFrom('allow', 'deny')),
  reasons: maybe(fc.array(text)),
  policyVersion: maybe(text),
  sqlstate: maybe(text),
  message: maybe(text),
  statementId: text,
};
const begins = fc.record({
  ...shared,
  kind: fc.constant('statement.begin'),
  statement: text,
  command: text,
  tables: fc.array(text, { maxLength: 3 }),
  columns: fc.oneof(fc.array(text), fc.constant(Array.from({ length: 2_500 }, (_, n) => `c${n}`))),
});
const ends = fc.record({
  ...shared,
  kind: fc.constant('statement.end'),
  durationMs: fc.oneof(fc.double(), fc.integer()),
  rows: maybe(fc.nat()),
  bytes: maybe(fc.nat()),
});

test('the short way says what the long way says', () => {
  fc.assert(
    fc.property(fc.oneof(begins, ends), fc.uuid(), fc.nat(), (fields, id, time) => {
      const event = fields as unknown as NewEvent;
      const long = canonicalEvent(redactEvent({ ...event, id, time } as AuditEvent));
      expect(payloadOf(event, id, time)).toBe(long);
      expect(payloadOf(event, id, time)).toBe(long);
    }),
  );
});

test('an event of another kind or with a key of its own takes the long way', () => {
  expect(payloadOf({ kind: 'log.open' }, '1', 1)).toBeUndefined();
  const odd = { kind: 'statement.end', statementId: '1', durationMs: 1, extra: 'x' } as NewEvent;
  expect(payloadOf(odd, '1', 1)).toBeUndefined();
});
