import { z } from 'zod';
import { WritError } from '../../kernel/errors.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import { type Caller, type Route, route } from '../../kernel/route.ts';
import { metastore } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';

/** One open session, as the registry of the Postgres door lists it. */
export interface SessionRow {
  readonly id: string;
  readonly principal: PrincipalName;
  readonly catalog: string;
  readonly client: string;
  readonly application: string | undefined;
  readonly startedAt: string;
  readonly statements: number;
}

export interface SessionRouteOptions {
  readonly currentSnapshot: () => Snapshot;
  readonly sessions: () => readonly SessionRow[];
  /** @returns false when there is no such session. */
  readonly kill: (id: string, reason: string) => boolean;
}

/** `/api/v1/sessions`: your own, or all for who manages the metastore. */
export function sessionRoutes(options: SessionRouteOptions): readonly Route[] {
  const visible = (caller: Caller) => {
    const all = options.currentSnapshot().decide(caller.principal, 'MANAGE', metastore).effect === 'allow';
    return options.sessions().filter((session) => all || session.principal === caller.principal);
  };
  return [
    route({
      method: 'get',
      path: '/api/v1/sessions',
      summary: 'Open sessions',
      input: z.object({}),
      output: z.unknown(),
      requires: { kind: 'signed-in' },
      run: async (_input, caller) => ({ sessions: visible(caller) }),
    }),
    route({
      method: 'delete',
      path: '/api/v1/sessions/{id}',
      summary: 'End a session with 57P01',
      input: z.object({ id: z.string() }),
      output: z.unknown(),
      requires: { kind: 'signed-in' },
      run: async (input, caller) => {
        const found = visible(caller).find((session) => session.id === input.id);
        if (found === undefined || !options.kill(found.id, `ended by ${caller.principal}`)) {
          throw new WritError('not_found', {
            message: `no open session ${input.id}`,
            hint: '`writ sessions ls` lists them',
          });
        }
        return { id: found.id, ended: true };
      },
    }),
  ];
}
