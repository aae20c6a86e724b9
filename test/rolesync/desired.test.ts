import { describe, expect, test } from 'vitest';
import { principalRole } from '../../src/fleet/role-names.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { viewStatement } from '../../src/rolesync/shadow-view.ts';
import { keyOf } from '../../src/rolesync/state.ts';
import { desiredSample } from './sample.ts';

const withModify = (text: string) =>
  text.replace('grants:\n', 'grants:\n  - { on: shop, to: analysts, privileges: [MODIFY] }\n');
type State = Awaited<ReturnType<typeof desiredSample>>['state'];

/** What a person may do, through the roles that the person is in. */
function rights(state: State, who: string, door: 'gateway' | 'direct'): string[] {
  const role = principalRole(parsePrincipalName(who), door);
  const roles = [...state.memberships.values()].filter((one) => one.member === role).map((one) => one.role);
  return [...state.grants.values()]
    .filter((grant) => roles.includes(grant.grantee) && grant.on.kind === 'relation')
    .map((grant) =>
      grant.on.kind === 'relation' ? `${grant.privilege} ${grant.on.schema}.${grant.on.name}` : '',
    )
    .filter((text) => /customers$|orders$/.test(text) && !text.endsWith('customer_orders'))
    .sort();
}

describe('roles', () => {
  test('only for people who pass USE CATALOG', async () => {
    const { state } = await desiredSample();
    const people = [...state.roles.keys()]
      .filter((role) => /^writ_[gd]_/.test(role))
      .map((role) => role.replace(/_[0-9a-f]{8}$/, ''));
    expect(people.sort()).toEqual(
      ['ana_acme_test', 'etl', 'omar_acme_test', 'pat_acme_test', 'sam_acme_test']
        .flatMap((name) => [`writ_d_${name}`, `writ_g_${name}`])
        .sort(),
    );
  });

  test('a new principal of the same kind leaves the compiled roles as they are', async () => {
    const before = await desiredSample();
    const after = await desiredSample((text) =>
      text.replace('members: [ana@acme.test,', 'members: [zoe@acme.test, ana@acme.test,'),
    );
    const compiled = (state: State) =>
      [...state.roles.keys()].filter((role) => role.startsWith('writ_c_')).sort();
    expect(compiled(after.state)).toEqual(compiled(before.state));
  });

  test('nobody wanted, nothing wanted', async () => {
    const { state } = await desiredSample((text) =>
      text
        .replace(/USE CATALOG, /g, '')
        .replace(/\[USE CATALOG\]/g, '[BROWSE]')
        .replace('owner: platform', 'owner: nobody')
        .replace('loaders:  {', 'nobody: { members: [] }\n  loaders:  {'),
    );
    expect([state.roles.size, state.views.size, state.grants.size, state.schemas.size]).toEqual([0, 0, 0, 0]);
  });
});

describe('rights', () => {
  test.each([
    ['ana@acme.test', 'direct', ['SELECT writ_public_direct.customers', 'SELECT writ_public_direct.orders']],
    ['ana@acme.test', 'gateway', ['SELECT writ_public.customers', 'SELECT writ_public.orders']],
    [
      'sam@acme.test',
      'direct',
      ['SELECT writ_public_direct_clear.customers', 'SELECT writ_public_direct_clear.orders'],
    ],
    ['sam@acme.test', 'gateway', ['SELECT writ_public_clear.customers', 'SELECT writ_public_clear.orders']],
    [
      'etl',
      'gateway',
      ['DELETE public.orders', 'INSERT public.orders', 'SELECT public.orders', 'UPDATE public.orders'],
    ],
    [
      'etl',
      'direct',
      ['DELETE', 'INSERT', 'SELECT', 'SELECT', 'UPDATE'].map(
        (privilege) => `${privilege} writ_public_direct_clear.orders`,
      ),
    ],
    ['pat@acme.test', 'direct', []],
  ] as const)('%s through the %s door', async (who, door, expected) => {
    expect(rights((await desiredSample()).state, who, door)).toEqual(expected);
  });

  test('nobody bound by a row filter holds INSERT and UPDATE on one view', async () => {
    const { state } = await desiredSample(withModify);
    for (const door of ['gateway', 'direct'] as const) {
      const held = rights(state, 'ana@acme.test', door);
      const on = (privilege: string) =>
        held
          .filter((right) => right.startsWith(`${privilege} `))
          .map((right) => right.slice(privilege.length + 1));
      expect(on('INSERT').length).toBe(2);
      expect(on('INSERT').filter((view) => on('UPDATE').includes(view))).toEqual([]);
    }
  });

  test('the owner of the views holds columns, never a whole table', async () => {
    const { state } = await desiredSample(withModify);
    const whole = [...state.grants.values()].filter(
      (grant) => grant.grantee === 'writ_owner' && grant.on.kind === 'relation',
    );
    expect(new Set(whole.map((grant) => grant.privilege))).toEqual(new Set(['DELETE']));
  });

  test('never compiled into a grant', async () => {
    const { state } = await desiredSample(withModify);
    const privileges = new Set([...state.grants.values()].map((grant) => grant.privilege));
    expect([...privileges].sort()).toEqual([
      'CONNECT',
      'DELETE',
      'EXECUTE',
      'INSERT',
      'SELECT',
      'UPDATE',
      'USAGE',
    ]);
    expect([...state.memberships.values()].every((one) => one.inherit && !one.set && !one.admin)).toBe(true);
  });
});

describe('views', () => {
  const statement = (state: State, schema: string, name: string) => {
    const view = state.views.get(keyOf(schema, name))?.view;
    return view === undefined ? undefined : viewStatement(view, false).text;
  };

  test('the governed view: barrier, filter, masks of the columns’ types', async () => {
    const text = statement((await desiredSample()).state, 'writ_public', 'customers');
    expect(text).toMatch(/security_barrier=true/);
    expect(text).toMatch(/\)::text as "email"/);
    expect(text).toMatch(/select writ\.attribute\('region'\)/);
    expect(text).not.toMatch(/exempt|lease_live|check option/);
  });

  test('direct views ask for the lease, those that are written with CHECK OPTION', async () => {
    const { state } = await desiredSample(withModify);
    for (const fact of state.views.values()) {
      if (fact.view === undefined || fact.view.body !== null) continue;
      expect(/lease_live/.test(fact.view.where ?? '')).toBe(fact.view.door === 'direct');
    }
    expect(statement(state, 'writ_public_direct', 'countries')).toMatch(/with cascaded check option$/);
  });

  test('clear views have no barrier and no CASE', async () => {
    expect(statement((await desiredSample()).state, 'writ_public_clear', 'customers')).not.toMatch(
      /barrier|case|where/i,
    );
  });

  test('exemption terms stand only where somebody is bound by one rule and exempt from another', async () => {
    const { state } = await desiredSample((text) =>
      text.replace('except: [stewards, loaders] }', 'except: [stewards, loaders, omar@acme.test] }'),
    );
    expect(statement(state, 'writ_public', 'customers')).toMatch(
      /\(select writ\.exempt\('own_region'\)\) or /,
    );
    expect(statement(state, 'writ_public', 'customers')).not.toMatch(/exempt\('mask/);
    expect([...state.data.exemptions.values()].map((row) => row.principal).sort()).toContain(
      'omar@acme.test',
    );
    // Orders have no masks and omar reads them clear, but the governed copy of customer_orders reads them for omar too.
    expect(statement(state, 'writ_public', 'orders')).toMatch(/exempt\('own_region'\)/);
  });

  test('application views are copied over the views of the same door and shape', async () => {
    const { state } = await desiredSample();
    const schemas = (fact: string) => state.views.get(fact)?.dependsOn.map((view) => view.schema);
    expect(schemas(keyOf('writ_public_direct', 'customer_orders'))).toEqual([
      'writ_public_direct',
      'writ_public_direct',
    ]);
    expect(schemas(keyOf('writ_public_clear', 'customer_orders'))).toEqual([
      'writ_public_clear',
      'writ_public_clear',
    ]);
    const order = [...state.views.values()]
      .sort((a, b) => a.ordinal - b.ordinal)
      .map((fact) => keyOf(fact.schema, fact.name));
    expect(order.indexOf(keyOf('writ_public', 'orders'))).toBeLessThan(
      order.indexOf(keyOf('writ_public', 'customer_orders')),
    );
  });
});
