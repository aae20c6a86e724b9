import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as passOn } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { samplePolicies } from '../../src/config/settings.ts';
import { type Company, startCompany } from '../whole/company.ts';
import { findJava, installTrino } from './install.ts';
import { readPassword, startTrino, type Trino } from './trino.ts';

// The sample company beside a real Trino that asks it: `shop` is the company's Postgres, `lake` its Parquet files.

export interface Governed {
  readonly company: Company;
  readonly trino: Trino;
  /** Tokens that came in the URLs of Trino's requests. */
  readonly tokens: ReadonlySet<string | null>;
  stop(): Promise<void>;
}

/** Somebody has to tell Trino's metastore where the lake's files are; nobody of the sample may. */
const additional = `
---
kind: grants
grants:
  - { on: lake, to: loaders, privileges: [USE CATALOG, USE SCHEMA, CREATE SCHEMA, CREATE TABLE, MANAGE] }
`;

/** @throws CannotRun in words when Trino, Java or memory is missing */
export async function startGoverned(): Promise<Governed> {
  const java = findJava();
  const home = await installTrino();
  const folder = mkdtempSync(join(tmpdir(), 'writ-trino-policies-'));
  // Not what the sample says of itself: the loader may do more here.
  for (const name of readdirSync(samplePolicies).filter((each) => each !== 'tests.yaml'))
    writeFileSync(join(folder, name), readFileSync(join(samplePolicies, name)));
  writeFileSync(join(folder, 'trino.yaml'), additional);
  const company = await startCompany({ env: { WRIT_POLICIES: folder } });
  const front = await openFront(company.endpoints.http);
  const clean = async () => {
    await front.close();
    await company.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const trino = await startTrino({ home, java, etc: trinoFiles(company, front.url) });
    await nodesJoined(trino);
    await registerLake(trino);
    return {
      company,
      trino,
      tokens: front.tokens,
      stop: async () => {
        await trino.stop();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** Trino says that it has started before its own node serves the catalogs. */
async function nodesJoined(trino: Trino): Promise<void> {
  const until = Date.now() + 60_000;
  for (;;) {
    const failure = await trino.failure('sam@acme.test', 'select count(*) from shop.public.countries');
    if (failure === undefined) return;
    if (!failure.includes('No nodes available') || Date.now() > until) throw new Error(failure);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface Front {
  readonly url: string;
  readonly tokens: ReadonlySet<string | null>;
  close(): Promise<void>;
}

/** Passes requests on as they come and keeps what token their URLs had: whether Trino's plugin leaves a query in place. */
async function openFront(http: string): Promise<Front> {
  const tokens = new Set<string | null>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', http);
    tokens.add(url.searchParams.get('token'));
    const options = { method: request.method, headers: { 'content-type': 'application/json' } };
    const onward = passOn(url, options, (answer) => {
      response.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/json' });
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    tokens,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function trinoFiles({ endpoints, home }: Company, front: string): Record<string, readonly string[]> {
  const cluster = endpoints.clusters['main'];
  const token = readFileSync(join(home, 'decision-token'), 'utf8').trim();
  const opa = (path: string) => `${front}/opa/v1/${path}?token=${token}`;
  mkdirSync(join(home, 'lake', '.metastore'), { recursive: true });
  return {
    'access-control.properties': [
      'access-control.name=opa',
      `opa.policy.uri=${opa('allow')}`,
      `opa.policy.batched-uri=${opa('batch')}`,
      `opa.policy.row-filters-uri=${opa('row-filters')}`,
      `opa.policy.batch-column-masking-uri=${opa('column-masks')}`,
    ],
    'catalog/shop.properties': [
      'connector.name=postgresql',
      `connection-url=jdbc:postgresql://${cluster?.host}:${cluster?.port}/shop`,
      'connection-user=shop_app',
      `connection-password=${readPassword(home, 'shop_app')}`,
    ],
    'catalog/lake.properties': [
      'connector.name=hive',
      'hive.metastore=file',
      'hive.metastore.catalog.dir=local:///.metastore',
      'fs.native-local.enabled=true',
      `local.location=${join(home, 'lake')}`,
      'hive.timestamp-precision=MICROSECONDS',
    ],
    // A catalog of which the policy knows nothing.
    'catalog/tpch.properties': ['connector.name=tpch'],
  };
}

async function registerLake(trino: Trino): Promise<void> {
  await trino.query('etl', 'create schema lake.sales');
  await trino.query(
    'etl',
    `create table lake.sales.orders_history (order_id bigint, customer_email varchar, region varchar,
       amount decimal(10, 2), ordered_at timestamp(6))
     with (external_location = 'local:///sales/orders_history', format = 'PARQUET')`,
  );
}
