import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { listLintRules } from '../../src/policy/lint-rules.ts';
import { sarifLog } from '../../src/policy/sarif.ts';

// The part of the SARIF 2.1.0 schema that the log uses: its required members and closed lists of values.
const text = z.strictObject({ text: z.string().min(1), markdown: z.string().optional() });
const level = z.enum(['none', 'note', 'warning', 'error']);
const log = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z.array(
    z.strictObject({
      tool: z.strictObject({
        driver: z.strictObject({
          name: z.string().min(1),
          semanticVersion: z.string().regex(/^\d+\.\d+\.\d+/),
          rules: z.array(
            z.strictObject({
              id: z.string().min(1),
              shortDescription: text,
              help: text,
              defaultConfiguration: z.strictObject({ level }),
            }),
          ),
        }),
      }),
      columnKind: z.enum(['utf16CodeUnits', 'unicodeCodePoints']),
      invocations: z.array(
        z.strictObject({
          executionSuccessful: z.boolean(),
          toolExecutionNotifications: z.array(z.strictObject({ level, message: text })),
        }),
      ),
      results: z.array(
        z.strictObject({
          ruleId: z.string().min(1),
          ruleIndex: z.int().min(0).optional(),
          level,
          message: text,
          locations: z.array(
            z.strictObject({
              physicalLocation: z.strictObject({
                artifactLocation: z.strictObject({ uri: z.string().regex(/^[\w%./-]+$/) }),
                region: z.strictObject({ startLine: z.int().min(1), startColumn: z.int().min(1) }),
              }),
            }),
          ),
        }),
      ),
    }),
  ),
});

const finding = {
  severity: 'error',
  rule: 'unknown-tag',
  message: 'no such tag "pi"',
  path: 'team a/ü.yaml',
  line: 3,
  column: 7,
} as const;

describe('SARIF', () => {
  test('has what 2.1.0 requires, and every rule of the table', () => {
    const notChecked = ['unknown-securable'];
    const value = log.parse(sarifLog([finding], { version: '1.2.3', folder: 'policies', notChecked }));
    const [run] = value.runs;
    expect(run?.tool.driver.rules.map((rule) => rule.id)).toEqual(listLintRules().map((rule) => rule.id));
    expect(run?.invocations[0]?.toolExecutionNotifications[0]?.message.text).toBe(
      'Not checked: unknown-securable',
    );
  });

  test('a result points at its rule and its place, with a relative URI', () => {
    const value = log.parse(
      sarifLog([{ ...finding, hint: 'declare it' }], {
        version: '1.2.3',
        folder: 'policies',
        notChecked: [],
      }),
    );
    const [result] = value.runs[0]?.results ?? [];
    expect(result).toMatchObject({
      ruleId: 'unknown-tag',
      level: 'error',
      message: { text: 'no such tag "pi" (declare it)' },
    });
    expect(value.runs[0]?.tool.driver.rules[result?.ruleIndex ?? -1]?.id).toBe('unknown-tag');
    expect(result?.locations).toEqual([
      {
        physicalLocation: {
          artifactLocation: { uri: 'policies/team%20a/%C3%BC.yaml' },
          region: { startLine: 3, startColumn: 7 },
        },
      },
    ]);
  });
});
