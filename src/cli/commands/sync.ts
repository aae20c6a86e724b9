import type { Command } from 'commander';
import { action, type CliContext, clientCommand } from '../context.ts';
import { formatTable, plural } from '../output.ts';
import { type ClusterPlanValue, formatClusterPlan } from './policy.ts';

interface DriftValue {
  readonly findings: readonly { cluster: string; severity: string; summary: string }[];
}

/** plan, apply, drift, pause, resume, uninstall. */
export function syncCommands(program: Command, context: CliContext): void {
  const sync = program.command('sync').description('bring clusters to the policy in force');
  clientCommand(sync, 'plan', 'what would be repaired; exit 2 when something would change').action(
    action(context, async ({ api }) => {
      const value = await api.call<{ clusters: ClusterPlanValue[] }>('POST', '/api/v1/sync/plan', {});
      const pending = value.clusters.some((cluster) => cluster.operations.length > 0);
      const failed = value.clusters.some((cluster) => cluster.error !== undefined);
      return {
        value,
        text: value.clusters.flatMap(formatClusterPlan).join('\n').trim(),
        exit: failed ? 3 : pending ? 2 : 0,
      };
    }),
  );
  clientCommand(sync, 'apply', 'repair drift from the policy in force').action(
    action(context, async ({ api }) => {
      const value = await api.call<{ clusters: ClusterPlanValue[] }>('POST', '/api/v1/sync/apply', {});
      const failed = value.clusters.some((cluster) => cluster.error !== undefined);
      const lines = value.clusters.flatMap((c) => [
        `${c.cluster}/${c.catalog}: ${plural(c.operations.length, 'operation')} done`,
        ...(c.error === undefined ? [] : [`  ${c.error}`]),
        ...c.notEnforced.map((reason) => `  not enforced on cluster ${c.cluster}: ${reason}`),
      ]);
      return { value, text: lines.join('\n'), exit: failed ? 3 : 0 };
    }),
  );
  clientCommand(sync, 'drift', 'how clusters differ from the policy in force; exit 2 when they do').action(
    action(context, async ({ api }) => {
      const value = await api.call<DriftValue>('POST', '/api/v1/sync/drift', {});
      const rows = value.findings.map((finding) => [finding.cluster, finding.severity, finding.summary]);
      return {
        value,
        text: rows.length === 0 ? 'no drift' : formatTable(['cluster', 'severity', 'what'], rows),
        exit: rows.length === 0 ? 0 : 2,
      };
    }),
  );
  tableCommands(sync, context);
  clientCommand(sync, 'uninstall <cluster>', 'remove everything that Writ made there').action(
    action<[string], object>(context, async ({ api }, _options, cluster) => {
      const value = await api.call<{ removed: string[] }>('POST', '/api/v1/sync/uninstall', { cluster });
      return {
        value,
        text: `${cluster}: ${plural(value.removed.length, 'thing')} removed; nothing of ours is left`,
      };
    }),
  );
}

function tableCommands(sync: Command, context: CliContext): void {
  for (const verb of ['pause', 'resume'] as const) {
    const what =
      verb === 'pause' ? "withdraw a table's views for a migration" : "make a paused table's views again";
    clientCommand(sync, `${verb} <catalog.schema.table>`, what).action(
      action<[string], object>(context, async ({ api }, _options, table) => {
        const value = await api.call<{ table: string }>('POST', `/api/v1/sync/${verb}`, { table });
        return { value, text: `${verb}d ${value.table}` };
      }),
    );
  }
}
