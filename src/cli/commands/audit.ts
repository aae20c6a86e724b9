import type { Command } from 'commander';
import { action, type CliContext, clientCommand } from '../context.ts';
import { formatTable, plural } from '../output.ts';

interface VerifyValue {
  readonly ok: boolean;
  readonly records: number;
  readonly segments: number;
  readonly head: string;
  readonly findings: readonly { file: string; line: number; what: string }[];
}

/** query, verify. */
export function auditCommands(program: Command, context: CliContext): void {
  const audit = program.command('audit').description('who did what, provably');
  clientCommand(
    audit,
    'query <sql>',
    'ask the audit log, e.g. "select principal, statement from system.access.audit"',
  ).action(
    action<[string], object>(context, async ({ api }, _options, text) => {
      const value = await api.call<{ columns: string[]; rows: unknown[][] }>('POST', '/api/v1/audit/query', {
        sql: text,
      });
      return {
        value,
        text: `${formatTable(value.columns, value.rows)}\n(${plural(value.rows.length, 'row')})`,
      };
    }),
  );
  clientCommand(audit, 'verify', 'check the chain of every record')
    .option(
      '--since <checkpoint>',
      'writer:seq:chain noted earlier: proves that nothing before it was cut off',
    )
    .action(
      action<[], { since?: string }>(context, async ({ api }, options) => {
        const query = options.since === undefined ? '' : `?since=${encodeURIComponent(options.since)}`;
        const value = await api.call<VerifyValue>('GET', `/api/v1/audit/verify${query}`);
        const lines = value.findings.map((finding) => `${finding.file}:${finding.line} ${finding.what}`);
        const head = `${value.ok ? 'whole' : 'NOT WHOLE'}: ${plural(value.records, 'record')} in ${plural(value.segments, 'segment')}; checkpoint ${value.head}`;
        return { value, text: [head, ...lines].join('\n'), exit: value.ok ? 0 : 1 };
      }),
    );
}
