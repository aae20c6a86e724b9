import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CatalogInfo, CredentialRecord, Discovered, TableInfo } from '../../src/catalog/model.ts';
import type { CatalogStore, NewKept } from '../../src/catalog/store.ts';
import { type GroupName, parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';

// What every catalog store does, whatever lies behind it.

const shop: CatalogInfo = { name: name('shop'), kind: 'POSTGRES', cluster: 'main', database: 'shop' };
const lake: CatalogInfo = { name: name('lake'), kind: 'LAKE', location: 'lake' };

function table(text: string, more: Partial<TableInfo> = {}): TableInfo {
  const id = {
    name: 'id',
    type: 'bigint',
    engineType: 'bigint',
    position: 1,
    nullable: false,
    generated: false,
  } as const;
  return { name: name(text), kind: 'TABLE', columns: [id], ...more };
}

const found: Discovered = {
  schemas: [name('shop.public'), name('shop."Sales"')],
  tables: [table('shop.public.orders', { oid: 17, rowsEstimate: 10 }), table('shop."Sales".customers')],
  functions: [
    {
      name: name('shop.public.total'),
      signature: 'integer',
      kind: 'FUNCTION',
      securityDefiner: true,
      engineOwner: 'shop_app',
    },
    {
      name: name('shop.public.total'),
      signature: 'date',
      kind: 'FUNCTION',
      securityDefiner: false,
      engineOwner: 'shop_app',
    },
  ],
  partitions: [{ name: name('shop.public.events_1'), parent: name('shop.public.events') }],
};

const ana = parsePrincipalName('ana@acme.test');
const anaAtIdp = { issuer: 'https://idp', subject: 's-ana', name: ana, email: 'ana@acme.test' };

const credential: CredentialRecord = {
  id: 'c1',
  secretHash: 'h',
  principal: ana,
  catalog: name('shop'),
  direct: true,
  login: 'writ_l_1',
  cluster: 'main',
  issuedAt: 1,
  expiresAt: 100,
  purpose: 'report',
  ticket: 'T-1',
};

/** `open` gives an empty store; the suite closes it. */
export function catalogStoreContract(kind: string, open: () => CatalogStore): void {
  describe(`${kind} catalog store`, () => {
    let store: CatalogStore;
    beforeEach(() => {
      store = open();
    });
    afterEach(() => store.close());
    catalogContract(() => store, open);
    principalContract(() => store);
    credentialContract(() => store);
    policyContract(() => store);
    keptContract(() => store);
    claimContract(() => store);
  });
}

function catalogContract(store: () => CatalogStore, open: () => CatalogStore): void {
  describe('what exists', () => {
    test('what was found is in the snapshot', () => {
      store().putCatalog(shop);
      expect(store().replaceDiscovered(shop.name, found)).toBe(true);
      const snapshot = store().snapshot();
      expect(snapshot.catalogs.get(shop.name)).toEqual(shop);
      expect([...snapshot.schemas].sort()).toEqual([...found.schemas].sort());
      expect(snapshot.tables.get(name('shop.public.orders'))).toEqual(found.tables[0]);
      expect(snapshot.functions.get(name('shop.public.total'))).toHaveLength(2);
      expect(snapshot.partitions.get(name('shop.public.events_1'))).toBe('shop.public.events');
    });

    test('the snapshot is one value until something changes', () => {
      store().putCatalog(shop);
      store().replaceDiscovered(shop.name, found);
      const before = store().snapshot();
      expect(store().snapshot()).toBe(before);
      expect(store().replaceDiscovered(shop.name, { ...found, tables: [] })).toBe(true);
      expect(store().snapshot().digest).not.toBe(before.digest);
      expect(store().snapshot().tables.size).toBe(0);
    });

    test('finding the same again, in another order and with other estimates, is no change', () => {
      store().putCatalog(shop);
      store().replaceDiscovered(shop.name, found);
      const { digest } = store().snapshot();
      const again: Discovered = {
        schemas: found.schemas.toReversed(),
        tables: found.tables.map((info) => ({ ...info, rowsEstimate: 99 })).toReversed(),
        functions: found.functions.toReversed(),
        partitions: found.partitions,
      };
      expect(store().replaceDiscovered(shop.name, again)).toBe(false);
      expect(store().snapshot().digest).toBe(digest);
      expect(store().snapshot().tables.get(name('shop.public.orders'))?.rowsEstimate).toBe(99);
    });

    test('equal catalogs have equal digests in any store', () => {
      const other = open();
      for (const [one, order] of [
        [store(), [shop, lake]],
        [other, [lake, shop]],
      ] as const) {
        for (const info of order) one.putCatalog(info);
        one.replaceDiscovered(shop.name, found);
      }
      expect(other.snapshot().digest).toBe(store().snapshot().digest);
      other.putCatalog({ ...shop, database: 'other' });
      expect(other.snapshot().digest).not.toBe(store().snapshot().digest);
      other.close();
    });

    test('one catalog is replaced without touching another', () => {
      store().putCatalog(shop);
      store().putCatalog(lake);
      const sales: Discovered = { schemas: [name('lake.sales')], tables: [], functions: [], partitions: [] };
      store().replaceDiscovered(lake.name, sales);
      store().replaceDiscovered(shop.name, found);
      store().replaceDiscovered(shop.name, { schemas: [], tables: [], functions: [], partitions: [] });
      expect([...store().snapshot().schemas]).toEqual(['lake.sales']);
    });

    test('an unregistered catalog holds nothing', () => {
      expect(() => store().replaceDiscovered(shop.name, found)).toThrow(/not registered/);
      expect(store().snapshot().catalogs.size).toBe(0);
    });
  });
}

function principalContract(store: () => CatalogStore): void {
  describe('who is who', () => {
    test('the first sign-in binds the name, the next finds it', () => {
      const principal = { ...anaAtIdp, boundAt: 5 };
      expect(store().bindPrincipal(anaAtIdp, 5)).toEqual({ kind: 'bound', principal, first: true });
      expect(store().bindPrincipal(anaAtIdp, 6)).toEqual({ kind: 'bound', principal, first: false });
      expect(store().principals()).toEqual([principal]);
    });

    test('the same subject keeps its name, whatever e-mail it brings later', () => {
      store().bindPrincipal(anaAtIdp, 5);
      const renamed = { ...anaAtIdp, name: parsePrincipalName('sam@acme.test'), email: 'sam@acme.test' };
      expect(store().bindPrincipal(renamed, 6)).toMatchObject({ kind: 'bound', principal: { name: ana } });
    });

    test('an issuer that moved to another URL keeps its people', () => {
      store().bindPrincipal(anaAtIdp, 5);
      expect(store().moveIssuer(anaAtIdp.issuer, 'https://moved')).toBe(1);
      expect(store().bindPrincipal({ ...anaAtIdp, issuer: 'https://moved' }, 6)).toMatchObject({
        kind: 'bound',
        first: false,
      });
      expect(store().bindPrincipal(anaAtIdp, 7)).toMatchObject({ kind: 'quarantined' });
    });

    test('another subject, or another issuer, with the same name is quarantined', () => {
      store().bindPrincipal(anaAtIdp, 5);
      for (const other of [
        { ...anaAtIdp, subject: 's-2' },
        { ...anaAtIdp, issuer: 'https://other' },
      ]) {
        expect(store().bindPrincipal(other, 6)).toMatchObject({
          kind: 'quarantined',
          holder: { subject: 's-ana' },
        });
        expect(store().bindPrincipal(other, 7)).toMatchObject({ kind: 'quarantined' });
      }
      expect(store().principals()).toHaveLength(1);
      expect(store().quarantined()).toHaveLength(2);
      expect(store().quarantined()[0]).toMatchObject({ name: ana, firstSeen: 6 });
    });

    test('an admin may give the name to the quarantined subject', () => {
      store().bindPrincipal(anaAtIdp, 5);
      const other = { ...anaAtIdp, subject: 's-2' };
      expect(store().rebindPrincipal(other, 6)).toBe(false);
      store().bindPrincipal(other, 6);
      expect(store().rebindPrincipal(other, 7)).toBe(true);
      expect(store().bindPrincipal(other, 8)).toMatchObject({ kind: 'bound', principal: { boundAt: 7 } });
      expect(store().bindPrincipal(anaAtIdp, 9)).toMatchObject({ kind: 'quarantined' });
    });
  });
}

function credentialContract(store: () => CatalogStore): void {
  describe('credentials', () => {
    test('come back as they were put', () => {
      const { login: _l, cluster: _c, purpose: _p, ticket: _t, ...bare } = credential;
      store().putCredential(credential);
      store().putCredential({ ...bare, id: 'c2', direct: false });
      expect(store().credential('c1')).toEqual(credential);
      expect(store().credential('c2')).toEqual({ ...bare, id: 'c2', direct: false });
      expect(store().credential('c3')).toBeUndefined();
    });

    test('an id is used once', () => {
      store().putCredential(credential);
      expect(() => store().putCredential(credential)).toThrow();
    });

    test('are revoked once, and listed by principal and life', () => {
      const sam = parsePrincipalName('sam@acme.test');
      store().putCredential(credential);
      store().putCredential({ ...credential, id: 'c2', principal: sam, expiresAt: 50 });
      expect(store().credentials()).toHaveLength(2);
      expect(
        store()
          .credentials({ principal: sam })
          .map(({ id }) => id),
      ).toEqual(['c2']);
      expect(
        store()
          .credentials({ live: 60 })
          .map(({ id }) => id),
      ).toEqual(['c1']);
      expect(store().revokeCredential('c1', 10)).toBe(true);
      expect(store().revokeCredential('c1', 11)).toBe(false);
      expect(store().revokeCredential('none', 11)).toBe(false);
      expect(store().credential('c1')?.revokedAt).toBe(10);
      expect(
        store()
          .credentials({ live: 20 })
          .map(({ id }) => id),
      ).toEqual(['c2']);
    });
  });
}

function keptContract(store: () => CatalogStore): void {
  const kept = (since: number, more: Partial<NewKept> = {}): NewKept => ({
    snapshot: `s${since}`,
    since,
    compiledAt: since - 1,
    appliedBy: ana,
    why: 'policy apply',
    inputs: {
      files: [{ path: 'p.yaml', text: 'kind: grants' }],
      catalog: store().snapshot(),
      known: [ana],
      claimed: [[ana, ['g' as GroupName]]],
      labels: [['main', [['tier', 'production']]]],
    },
    ...more,
  });

  describe('what snapshots were compiled from', () => {
    test('comes back as it was, under the same digest, whatever the catalog holds by now', () => {
      store().putCatalog(shop);
      store().putCatalog(lake);
      store().replaceDiscovered(shop.name, found);
      const was = store().snapshot();
      const number = store().keepSnapshot(kept(10));
      store().replaceDiscovered(lake.name, { schemas: [], tables: [], functions: [], partitions: [] });
      const emptied = store().keepSnapshot(kept(20));
      store().replaceDiscovered(shop.name, { schemas: [], tables: [], functions: [], partitions: [] });
      const { catalog, ...rest } = store().keptInputs(number);
      const { catalog: _, ...put } = kept(10).inputs;
      expect(rest).toEqual(put);
      expect(catalog.digest).toBe(was.digest);
      expect(catalog.functions).toEqual(was.functions);
      expect(catalog.partitions).toEqual(was.partitions);
      expect([...catalog.tables.keys()].sort()).toEqual([...was.tables.keys()].sort());
      // An empty catalog that was looked into is another thing than one that was not.
      expect(store().keptInputs(emptied).catalog.digest).not.toBe(was.digest);
    });

    test('each moment has what was in force then; nothing before the first', () => {
      expect(store().keptAt()).toBeUndefined();
      expect(store().firstKept()).toBeUndefined();
      const source = { repository: '/srv/policy', ref: 'main', commit: 'c0ffee', signers: [ana] };
      store().keepSnapshot(kept(10, { source }));
      const second = store().keepSnapshot(kept(20));
      store().keptBegins(second, 25);
      const { inputs: _, ...first } = kept(10, { source });
      expect(store().keptAt(9)).toBeUndefined();
      expect(store().keptAt(10)).toEqual({ ...first, number: 1, until: 25 });
      expect(store().keptAt(24)?.snapshot).toBe('s10');
      expect(store().keptAt(25)).toMatchObject({ snapshot: 's20', since: 25 });
      expect(store().keptAt()?.until).toBeUndefined();
      expect(store().firstKept()).toBe(10);
    });
  });
}

function claimContract(store: () => CatalogStore): void {
  describe('claimed groups', () => {
    const groupsAfter = (...signIns: readonly (readonly [number, readonly string[]])[]) => {
      for (const [issuedAt, groups] of signIns) store().putClaimedGroups(ana, groups, issuedAt);
      return store().claimedGroupsOf(ana)?.groups;
    };

    test('those of the latest sign-in count, whatever was claimed before', () => {
      expect(groupsAfter([5, ['a', 'b', 'a']])).toEqual(['a', 'b']);
      expect(groupsAfter([6, ['c']])).toEqual(['c']);
      expect(store().claimedGroups()).toEqual([{ principal: ana, groups: ['c'], issuedAt: 6 }]);
    });

    test('an older token brings nothing back', () => {
      expect(groupsAfter([6, ['a']], [5, ['a', 'b']])).toEqual(['a']);
    });

    test('an older token that was never shown brings nothing after "no groups"', () => {
      expect(groupsAfter([6, []], [5, ['a']])).toEqual([]);
    });

    test('of two tokens of one second only what both claim counts', () => {
      expect(groupsAfter([5, ['a', 'b']], [5, ['b', 'c']], [5, ['a', 'b']])).toEqual(['b']);
    });

    test('whoever takes the name over starts without the groups of the one before', () => {
      store().bindPrincipal(anaAtIdp, 1);
      store().putClaimedGroups(ana, ['a'], 5);
      store().bindPrincipal({ ...anaAtIdp, subject: 's-2' }, 2);
      store().rebindPrincipal({ ...anaAtIdp, subject: 's-2' }, 3);
      expect(store().claimedGroupsOf(ana)).toBeUndefined();
    });
  });
}

function policyContract(store: () => CatalogStore): void {
  test('the policy in force is the last one put; all are kept', () => {
    expect(store().policyInForce()).toBeUndefined();
    const first = {
      snapshot: 'a',
      appliedAt: 1,
      appliedBy: ana,
      files: [{ path: 'p.yaml', text: 'kind: grants' }],
    };
    const source = { repository: '/srv/policy', ref: 'main', commit: 'c0ffee', signers: [ana] };
    const second = { ...first, snapshot: 'b', appliedAt: 1, source };
    store().putPolicy(first);
    store().putPolicy(second);
    store().putPolicy(first);
    expect(store().policyInForce()).toEqual(first);
    expect(store().policies()).toEqual([first, second, first]);
  });
}
