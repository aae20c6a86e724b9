import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startDevEnvironment } from '../../src/dev/environment.ts';
import type { SecurableName } from '../../src/kernel/securable-name.ts';
import { openInstance } from '../../src/main/instance.ts';
import { startIssuer } from '../gateway/identity/fixture.ts';
import { endOf } from './company.ts';

// A whole instance whose issuer says the groups: what a sign-in claims is in Postgres before its session opens.

const sample = readFileSync(join(import.meta.dirname, '..', '..', 'policies', 'sample.yaml'), 'utf8');
const policy = sample.replace(/analysts: \{ members: .* \}/, 'analysts: { source: claim }');

async function openCompany() {
  const home = mkdtempSync(join(tmpdir(), 'writ-claims-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const environment = await startDevEnvironment({ home, clusterPort: 0, idpPort: 0 });
  onTestFinished(() => environment.stop());
  const policies = join(home, 'policies');
  mkdirSync(policies);
  writeFileSync(join(policies, 'p.yaml'), policy);
  const issuer = await startIssuer(() => Math.floor(Date.now() / 1000));
  const { cluster, certificate, lakeFolder } = environment;
  const catalog = (name: string, more: object) => ({ name: name as SecurableName, ...more }) as never;
  const instance = await openInstance({
    ...{ home, policies, logLevel: 'warn', httpPort: 0, pgPort: 0, tls: certificate },
    clusters: [{ name: 'main', adminUrl: cluster.adminUrl }],
    catalogs: [
      catalog('shop', { kind: 'POSTGRES', cluster: 'main', database: cluster.database }),
      catalog('lake', { kind: 'LAKE', location: lakeFolder }),
      catalog('system', { kind: 'SYSTEM', location: join(home, 'audit') }),
    ],
    issuers: [{ issuer: issuer.url, audience: 'writ', groupsClaim: 'groups' }],
    allowPlaintextLoopback: true,
    hardenOnFirstStart: true,
  });
  onTestFinished(() => instance.close());
  const connect = async (password: string) => {
    const client = new pg.Client({
      ...{ host: '127.0.0.1', port: instance.pgPort, database: 'shop', user: 'ana@acme.test', password },
    });
    client.on('error', () => undefined); // ended sessions are asserted through their end
    await client.connect();
    return client;
  };
  return { issuer, connect };
}

test('a claimed group opens the catalog; the sign-in without it ends the session; an older token brings nothing back', async () => {
  const { issuer, connect } = await openCompany();
  const start = Math.floor(Date.now() / 1000) - 60;
  const token = (groups: readonly string[], iat: number) => issuer.sign({ groups, iat, exp: start + 3600 });
  const [first, second, third] = [
    await token(['analysts'], start),
    await token([], start + 1),
    await token(['analysts'], start + 2),
  ];
  const regions = 'select distinct region from customers';
  const ana = await connect(first);
  expect((await ana.query(regions)).rows).toEqual([{ region: 'EMEA' }]);
  const ended = endOf(ana);
  await expect(connect(second)).rejects.toMatchObject({ code: '42501' });
  expect(await ended).toBe('57P01');
  // Genuine and not expired, and yet not the latest.
  await expect(connect(first)).rejects.toMatchObject({ code: '42501' });
  const again = await connect(third);
  expect((await again.query(regions)).rows).toEqual([{ region: 'EMEA' }]);
  await again.end();
}, 120_000);
