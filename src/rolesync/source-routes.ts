import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import { type Route, route } from '../kernel/route.ts';
import { metastore } from '../kernel/securable-name.ts';
import type { Follower } from './follow.ts';
import { accept } from './policy-routes.ts';

// Where the policy comes from: what the repository says, a webhook's "look now", going back.

const manageMetastore = { kind: 'privilege', privilege: 'MANAGE', on: () => metastore } as const;
const anything = z.unknown();

/** @param follower undefined where the policy is a folder */
export function sourceRoutes(follower: Follower | undefined): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/api/v1/policy/source',
      summary: 'The repository that the policy follows, the commit in force, and what was refused',
      input: z.object({}),
      output: anything,
      requires: manageMetastore,
      run: async () => follower?.status() ?? { repository: null },
    }),
    route({
      method: 'post',
      path: '/api/v1/policy/sync',
      summary: 'Fetch the repository now and bring into force what is new (for webhooks)',
      input: z.object({ accept }),
      output: anything,
      requires: manageMetastore,
      run: (input, caller) => following(follower).look(caller, input.accept),
    }),
    route({
      method: 'post',
      path: '/api/v1/policy/rollback',
      summary: 'Bring a commit into force again that was before',
      input: z.object({
        commit: z
          .string()
          .regex(/^[0-9a-fA-F]{7,64}$/, 'must be the beginning of a commit id, at least 7 digits')
          .optional(),
        reason: z.string().max(500).optional(),
        accept,
      }),
      output: anything,
      requires: manageMetastore,
      run: (input, caller) => following(follower).rollback(caller, input),
    }),
  ];
}

function following(follower: Follower | undefined): Follower {
  if (follower !== undefined) return follower;
  throw new WritError('invalid_argument', {
    message: 'the policy of this instance is a folder, it follows no repository',
    hint: 'change the files, then `writ policy apply`',
  });
}
