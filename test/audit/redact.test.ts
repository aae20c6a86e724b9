import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalEvent } from '../../src/audit/canonical.ts';
import type { AuditEvent } from '../../src/audit/event.ts';
import { redactEvent } from '../../src/audit/redact.ts';

const event = (parts: object) => ({ kind: 'session.refused', id: '1', time: 1, ...parts }) as AuditEvent;

describe('what a client sent cannot forge or hide lines', () => {
  test('control characters, direction overrides and half surrogates are replaced', () => {
    const sent = event({
      message: 'a\nb\u001b[2Kc\u202ed\ud800e',
      client: { address: '::1', application: 'x\r\ny' },
    });
    expect(redactEvent(sent)).toMatchObject({
      message: 'a\ufffdb\ufffd[2Kc\ufffdd\ufffde',
      client: { application: 'x\ufffd\ufffdy' },
    });
  });

  test('a statement keeps its lines', () => {
    const sent = event({ statement: 'select 1,\n\t2 -- \u0007' });
    expect(redactEvent(sent)).toMatchObject({ statement: 'select 1,\n\t2 -- \ufffd' });
  });

  test('texts and lists are capped, and say so', () => {
    const limits = { statement: 5, text: 3, entries: 2 };
    const sent = event({ statement: 'select 1', message: 'ab😀', tables: ['a', 'b', 'c', 'd'] });
    expect(redactEvent(sent, limits)).toMatchObject({
      statement: 'selec… (3 characters more)',
      message: 'ab… (2 characters more)',
      tables: ['a', 'b', '… 2 more'],
    });
  });

  test('whatever text arrives, the payload is JSON without halves of characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (message) => {
        const text = canonicalEvent(redactEvent(event({ message })));
        expect(text).not.toMatch(/\\u(?!0023)/);
      }),
    );
  });
});
