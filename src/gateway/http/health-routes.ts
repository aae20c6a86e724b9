import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import type { AuditLog } from '../../audit/log-interface.ts';
import { WritError } from '../../kernel/errors.ts';
import { type Route, route } from '../../kernel/route.ts';
import type { Snapshot } from '../../policy/model.ts';

export interface HealthRouteOptions {
  readonly audit: AuditLog;
  readonly currentSnapshot: () => Snapshot;
  readonly sessions: () => number;
}

const open = { kind: 'nothing' } as const;

/** Liveness, readiness (records can be written, a policy is in force) and Prometheus metrics. */
export function healthRoutes(options: HealthRouteOptions): readonly Route[] {
  const { audit, currentSnapshot } = options;
  const registry = openRegistry(options);
  return [
    route({
      method: 'get',
      path: '/healthz',
      summary: 'The process is up',
      input: z.object({}),
      output: z.unknown(),
      requires: open,
      run: async () => ({ status: 'ok' }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      summary: 'Statements can be decided and recorded',
      input: z.object({}),
      output: z.unknown(),
      requires: open,
      run: async () => {
        if (!audit.healthy()) throw new WritError('record_not_writable');
        return { status: 'ready', policy: currentSnapshot().id };
      },
    }),
    route({
      method: 'get',
      path: '/metrics',
      summary: 'Prometheus metrics',
      input: z.object({}),
      output: z.string(),
      requires: open,
      run: () => registry.metrics(),
    }),
  ];
}

function openRegistry({ audit, sessions }: HealthRouteOptions): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'writ_' });
  new Gauge({
    name: 'writ_sessions',
    help: 'Open client sessions.',
    registers: [registry],
    collect() {
      this.set(sessions());
    },
  });
  new Gauge({
    name: 'writ_audit_writable',
    help: '1 while records can be written.',
    registers: [registry],
    collect() {
      this.set(audit.healthy() ? 1 : 0);
    },
  });
  return registry;
}
