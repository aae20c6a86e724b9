import { describe, expect, test } from 'vitest';
import { describe as inWords } from '../../src/rolesync/describe.ts';
import { diff } from '../../src/rolesync/diff.ts';
import { guard } from '../../src/rolesync/guard.ts';
import type { Observed } from '../../src/rolesync/inspect.ts';
import { render } from '../../src/rolesync/render.ts';
import type { DatabaseState } from '../../src/rolesync/state.ts';
import { desiredSample } from './sample.ts';

const empty: DatabaseState = {
  roles: new Map(),
  memberships: new Map(),
  schemas: new Set(),
  functions: new Map(),
  views: new Map(),
  grants: new Map(),
  data: { attributes: new Map(), exemptions: new Map(), memberships: new Map() },
  tokenKey: { table: false, fingerprint: undefined },
  eventTriggers: 'absent',
  paused: new Set(),
};

const observed = (state: DatabaseState, foreignRoles: readonly string[] = []): Observed => ({
  state,
  foreignRoles: new Set(foreignRoles),
  logins: new Set(),
  foreignSchemas: new Set(),
  superuser: true,
  versionNumber: 180000,
  digest: '',
});

describe('diff', () => {
  test('equal states have nothing between them', async () => {
    const { state } = await desiredSample();
    expect(diff(state, state)).toEqual([]);
  });

  test('everything is narrowed before anything is widened', async () => {
    const before = (await desiredSample()).state;
    const after = (
      await desiredSample((text) =>
        text
          .replace('region: [EMEA]', 'region: [AMER]')
          .replace('stewards: { members: [sam@acme.test] }', 'stewards: { members: [omar@acme.test] }'),
      )
    ).state;
    const effects = diff(before, after).map((operation) => operation.phase);
    expect(effects).toContain('narrow');
    expect(effects).toContain('widen');
    expect(effects.lastIndexOf('narrow')).toBeLessThan(effects.indexOf('widen'));
  });

  test('an attribute that changes shrinks to what old and new have in common, then grows', async () => {
    const before = (await desiredSample((text) => text.replace('region: [EMEA]', 'region: [EMEA, APAC]')))
      .state;
    const after = (await desiredSample((text) => text.replace('region: [EMEA]', 'region: [APAC, AMER]')))
      .state;
    const values = diff(before, after).flatMap((operation) =>
      operation.op === 'put-attributes' ? [[operation.effect, operation.rows[0]?.values]] : [],
    );
    expect(values).toEqual([
      ['narrow', ['APAC']],
      ['widen', ['APAC', 'AMER']],
    ]);
  });

  test('a mask that changes replaces its views and keeps their identity', async () => {
    const before = (await desiredSample()).state;
    const after = (await desiredSample((text) => text.replace("'***' || right(value, 2)", "'***'"))).state;
    expect(diff(before, after).map((operation) => operation.op === 'make-view' && operation.how)).toEqual([
      'replace',
      'replace',
    ]);
  });

  test('a column that goes makes the view anew, and the copies that read it', async () => {
    const { state } = await desiredSample();
    const key =
      [...state.views.keys()].find(
        (view) => view.includes('"writ_public"') && view.includes('"customers"'),
      ) ?? '';
    const fact = state.views.get(key);
    if (fact === undefined) throw new Error('no view');
    const actual = {
      ...state,
      views: new Map(state.views).set(key, {
        ...fact,
        fingerprint: 'old',
        columns: [{ name: 'gone', type: 'text' }, ...fact.columns],
      }),
    };
    const made = diff(actual, state).flatMap((operation) =>
      operation.op === 'make-view'
        ? [`${operation.how} ${operation.view.schema}.${operation.view.name}`]
        : [],
    );
    expect(made).toEqual([
      'recreate writ_public.customers',
      'recreate writ_public.customer_orders',
      'recreate writ_public.customer_orders_daily',
    ]);
  });

  test('a view that is not what was made loses its grants at once and is made again', async () => {
    const { state } = await desiredSample();
    const key = [...state.views.keys()][0] ?? '';
    const fact = state.views.get(key);
    if (fact === undefined) throw new Error('no view');
    const operations = diff(
      { ...state, views: new Map(state.views).set(key, { ...fact, fingerprint: 'altered' }) },
      state,
    );
    expect(operations[0]).toMatchObject({ op: 'revoke', effect: 'narrow' });
    expect(operations.some((operation) => operation.op === 'make-view' && operation.how === 'recreate')).toBe(
      true,
    );
  });

  test('views of a paused table are left alone, and nothing is granted on them', async () => {
    const { state } = await desiredSample();
    const views = new Map(
      [...state.views].map(([key, fact]) => [key, { ...fact, state: 'withdrawn' as const }]),
    );
    const grants = new Map(
      [...state.grants].filter(
        ([, grant]) => !(grant.on.kind === 'relation' && grant.on.schema.startsWith('writ_')),
      ),
    );
    const paused = new Set(
      [...state.views.values()].map((fact) => JSON.stringify([fact.view?.base.schema, fact.view?.base.name])),
    );
    expect(diff({ ...state, views, grants, paused }, state)).toEqual([]);
  });
});

describe('render and describe', () => {
  test('every operation of a first apply has words and SQL, and quotes every name', async () => {
    const { state } = await desiredSample();
    for (const operation of diff(empty, state)) {
      expect(inWords(operation)).not.toBe('');
      for (const statement of render(operation, 180000)) expect(statement.text.length).toBeGreaterThan(5);
    }
  });

  test('membership options only where the server knows them', () => {
    const operation = {
      op: 'grant-membership',
      role: 'writ_a',
      members: ['writ_b'],
      effect: 'widen',
      phase: 'widen',
    } as const;
    expect(render(operation, 180000)[0]?.text).toBe(
      'grant "writ_a" to "writ_b" with inherit true, set false',
    );
    expect(render(operation, 150000)[0]?.text).toBe('grant "writ_a" to "writ_b"');
  });

  test("another grantor's grant is taken back as that grantor", () => {
    const revoke = {
      op: 'revoke',
      grantee: 'writ_a',
      privileges: ['SELECT'],
      targets: [{ kind: 'relation', schema: 's', name: 't' }],
      grantor: 'bob',
      effect: 'narrow',
      phase: 'narrow',
    } as const;
    expect(render(revoke, 180000).map((statement) => statement.text)).toEqual([
      'set local role "bob"',
      'revoke select on table "s"."t" from "writ_a" cascade',
      'reset role',
    ]);
  });
});

describe('guard', () => {
  test('says why it refuses and what to do', async () => {
    const { state } = await desiredSample();
    let refusal: unknown;
    try {
      guard(diff(state, empty), observed(state), empty);
    } catch (thrown) {
      refusal = thrown;
    }
    expect(refusal).toMatchObject({
      code: 'guard_refused',
      detail: expect.stringMatching(/lose all access/) as string,
      hint: expect.stringMatching(/writ sync uninstall/) as string,
    });
  });

  test('a policy that admits nobody', async () => {
    const { state } = await desiredSample();
    expect(() => guard(diff(state, empty), observed(state), empty)).toThrow(/admits nobody/);
  });

  test('more than the limits', async () => {
    const { state } = await desiredSample();
    const limits = { maxRevokes: 3, maxDroppedRoles: 100, allowEmpty: true };
    expect(() => guard(diff(state, empty), observed(state), empty, limits)).toThrow(
      /rights would be taken away/,
    );
    expect(() =>
      guard(diff(state, empty), observed(state), empty, {
        ...limits,
        maxRevokes: 10_000,
        maxDroppedRoles: 1,
      }),
    ).toThrow(/roles would be dropped/);
  });

  test('a role of that name that is not ours', async () => {
    const { state } = await desiredSample();
    expect(() => guard(diff(empty, state), observed(empty, ['writ_owner']), state)).toThrow(
      /exists and is not ours/,
    );
  });

  test('an operation on an unmanaged role', () => {
    const operation = { op: 'drop-role', role: 'shop_app', effect: 'narrow', phase: 'clean-up' } as const;
    expect(() => guard([operation], observed(empty), empty)).toThrow(/not ours/);
  });
});
