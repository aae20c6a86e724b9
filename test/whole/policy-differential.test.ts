import fc from 'fast-check';
import { loadModule } from 'libpg-query';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { directQuery } from '../../src/fleet/direct-query.ts';
import { type PrincipalName, parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { openScratch, type Scratch } from '../../src/main/scratch.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { within } from '../policy/expression/engines.ts';
import { catalogOf, table } from '../policy/fixture.ts';
import { catalogName, expected, masks, people, policyText, type Written, written } from './policy-model.ts';
import { relations, rowsOf } from './policy-model-rows.ts';

// Random small policies in force on one running instance: what every person sees of every relation, through the gateway
// and with a direct credential, is what a model says that was written by hand and knows nothing of how it is enforced.

const shop = parseSecurableName(catalogName);
const tables = [
  table('shop.public.customers', { id: 'bigint', email: 'text', phone: 'text', region: 'text' }),
  table('shop.public.orders', { id: 'bigint', region: 'text', note: 'text' }),
];
const customers = parseSecurableName('shop.public.customers');
const orders = parseSecurableName('shop.public.orders');
const catalog = catalogOf({ shop: 'POSTGRES' }, [
  ...tables,
  table('shop.public.contacts', { id: 'bigint', email: 'text', region: 'text' }, 'VIEW', {
    reads: [customers],
    definition: 'SELECT c.id, c.email, c.region FROM public.customers c',
  }),
  table('shop.public.both', { id: 'bigint', phone: 'text', note: 'text' }, 'VIEW', {
    reads: [customers, orders],
    definition:
      'SELECT c.id, c.phone, o.note FROM (public.customers c JOIN public.orders o ON ((o.id = c.id)))',
  }),
]);
const persons: readonly PrincipalName[] = people.map(parsePrincipalName);
// Somebody is admitted, who takes no part: a policy that admits nobody is refused.
const nothing = [
  {
    path: 'nothing.yaml',
    text: 'kind: grants\ngrants: [{ on: shop, to: keeper@x.io, privileges: [USE CATALOG, USE SCHEMA] }]\n',
  },
];

let scratch: Scratch;
beforeAll(async () => {
  await loadModule();
  scratch = await openScratch(
    {
      catalogs: [...catalog.catalogs.values()],
      schemas: [...catalog.schemas],
      tables: tables.map((info) => ({ info, rows: rowsOf(info.name) })),
      views: [...catalog.tables.values()].filter(({ kind }) => kind === 'VIEW'),
      functions: [],
      roles: [],
    },
    nothing,
  );
  expect(scratch.problems).toEqual([]);
});
afterAll(async () => {
  await scratch?.close();
});

async function bringIntoForce(policy: Written): Promise<Snapshot> {
  const files = [{ path: 'random.yaml', text: policyText(policy) }];
  const { snapshot, findings } = await compileFiles(files, catalog, [], Date.now());
  if (snapshot === undefined) throw new Error(findings.map(formatFinding).join('\n'));
  // Nobody reads anything in between, so that no change widens what somebody sees.
  await scratch.apply(nothing);
  await scratch.apply(files);
  return snapshot;
}

/** Rows as texts, sorted; or why there are none. */
type Seen = readonly string[] | 'refused';

async function seen(client: pg.Client | undefined, query: string): Promise<Seen> {
  if (client === undefined) return 'refused';
  try {
    const { rows } = await client.query({ text: query, rowMode: 'array' });
    return rows.map((row) => JSON.stringify(row)).sort();
  } catch (thrown) {
    const { code = '' } = thrown as { code?: string };
    // Not there, or not allowed: 42P01, 3F000, 42501, 42703 (a column that only others may name).
    if (['42P01', '3F000', '42501', '42703'].includes(code)) return 'refused';
    throw thrown;
  }
}

async function connected(config: () => Promise<pg.ClientConfig>): Promise<pg.Client | undefined> {
  try {
    const client = new pg.Client({ ...(await config()), query_timeout: 20_000 });
    client.on('error', () => undefined); // what ends a session is seen by the statement that fails
    await client.connect();
    return client;
  } catch {
    return undefined;
  }
}

const viaGateway = (as: PrincipalName) => async () => ({
  host: '127.0.0.1',
  port: scratch.pgPort,
  database: catalogName,
  user: as,
  password: await scratch.token(as),
});

const direct = (as: PrincipalName) => async () => {
  const made = await scratch.call<pg.ClientConfig>(as, 'POST', '/api/v1/credentials', {
    catalog: catalogName,
    direct: true,
  });
  const { host, port, database, user, password } = made;
  return { host, port, database, user, password } as pg.ClientConfig;
};

async function compareFor(as: PrincipalName, policy: Written, snapshot: Snapshot): Promise<void> {
  const [gateway, straight] = await Promise.all([connected(viaGateway(as)), connected(direct(as))]);
  try {
    for (const { name, columns } of relations) {
      const wanted = expected(policy, as, name);
      const query = `select ${columns.join(', ')} from ${name}`;
      const rewritten = directQuery(snapshot, as, shop, query);
      const raw = `select ${columns.join(', ')} from ${name.slice('shop.'.length)}`;
      const found = {
        gateway: await seen(gateway, query),
        direct: await seen(straight, rewritten),
      };
      expect({ as, name, ...found }).toEqual({ as, name, gateway: wanted, direct: wanted });
      // The relation by its own name: refused, or no more than is right.
      const beneath = await seen(straight, raw);
      if (beneath !== 'refused') expect({ as, name, beneath }).toEqual({ as, name, beneath: wanted });
      // Decisions are what is shown.
      const decision = snapshot.decide(as, 'SELECT', parseSecurableName(name)).effect;
      expect({ as, name, decision }).toEqual({ as, name, decision: wanted === 'refused' ? 'deny' : 'allow' });
    }
  } finally {
    await Promise.all([gateway?.end(), straight?.end()]);
  }
}

test('random policies: everybody sees through both doors what the model says', {
  timeout: 90_000,
}, async () => {
  const ways = new Set<string>();
  const go = within(30_000);
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(written, async (policy) => {
      if (compared >= 5 && !go()) return;
      compared++;
      const snapshot = await bringIntoForce(policy);
      for (const as of persons) {
        await compareFor(as, policy, snapshot);
        for (const { name } of relations)
          ways.add(expected(policy, as, name) === 'refused' ? 'refused' : 'read');
        if (masks(policy, as).length > 0) ways.add('masked');
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );
  expect([...ways].sort()).toEqual(['masked', 'read', 'refused']);
});
