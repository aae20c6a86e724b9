import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import { type Route, route } from '../kernel/route.ts';
import { metastore } from '../kernel/securable-name.ts';
import type { CatalogPlan, FullPlan, InForce } from './in-force.ts';
import type { Past } from './past.ts';
import { policyQuestionRoutes } from './policy-question-routes.ts';

// `/api/v1/policy/*`: plan and apply as the CLI and pull-request bots use them.

const manageMetastore = { kind: 'privilege', privilege: 'MANAGE', on: () => metastore } as const;
const files = z.array(z.object({ path: z.string(), text: z.string() })).optional();
/** Acceptance in a body. */
export const accept = z
  .strictObject({ widened: z.int().min(0).optional() })
  .optional()
  .describe('What a guard would refuse, in exactly the number that was seen.');
const anything = z.unknown();

export interface PolicyRouteOptions {
  readonly inForce: InForce;
  readonly past: Past;
  /** Sessions that ended because of the last change. */
  readonly sessionsEnded: () => number;
  /** Repository and ref that the policy follows: then nobody applies by hand. */
  readonly follows?: string | undefined;
}

export function policyRoutes({
  inForce,
  past,
  sessionsEnded,
  follows,
}: PolicyRouteOptions): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/policy/lint',
      summary: 'Findings in policy files, with their places',
      input: z.object({ files }),
      output: anything,
      requires: manageMetastore,
      run: async (input) => ({ findings: await inForce.lint(input.files) }),
    }),
    route({
      method: 'post',
      path: '/api/v1/policy/plan',
      summary: 'Who gains and loses what, and the SQL per cluster',
      input: z.object({ files }),
      output: anything,
      requires: manageMetastore,
      run: async (input) => planValue(await inForce.plan(input.files)),
    }),
    route({
      method: 'post',
      path: '/api/v1/policy/apply',
      summary: 'Bring policy files into force',
      input: z.object({ files, digest: z.string().optional(), accept }),
      output: anything,
      requires: manageMetastore,
      run: async (input, caller) => {
        if (follows !== undefined) throw byCommitOnly(follows);
        const before = sessionsEnded();
        const applied = await inForce.apply(caller, input);
        return {
          ...planValue({ ...applied, guard: undefined }),
          sessionsEnded: sessionsEnded() - before,
          partial: applied.catalogs.some((each) => each.error !== undefined),
        };
      },
    }),
    ...policyQuestionRoutes(inForce, past),
  ];
}

function byCommitOnly(follows: string): WritError {
  return new WritError('conflict', {
    message: `the policy follows ${follows}`,
    detail: 'what is applied by hand would be in no commit',
    hint: 'commit there, then `writ policy fetch`; `writ policy rollback` goes back',
  });
}

function planValue(plan: FullPlan): object {
  return {
    from: plan.policy.from,
    to: plan.policy.to,
    pending: plan.pending,
    summary: plan.policy.summary,
    digest: plan.digest,
    changes: plan.policy.changes,
    widened: plan.policy.widened,
    ...(plan.guard === undefined
      ? {}
      : { guard: { message: plan.guard.message, detail: plan.guard.detail, hint: plan.guard.hint } }),
    clusters: plan.catalogs.map(catalogPlanValue),
    files: plan.files,
  };
}

/** One cluster's part of a plan, as the API prints it. */
function catalogPlanValue(each: CatalogPlan): object {
  return {
    cluster: each.cluster,
    catalog: each.catalog,
    operations: (each.plan?.operations ?? []).map((operation) => ({
      words: operation.words,
      sql: operation.sql,
    })),
    notEnforced: each.plan?.notEnforced ?? [],
    ...(each.error === undefined
      ? {}
      : { error: [each.error.message, each.error.detail].filter((part) => part !== undefined).join(': ') }),
  };
}
