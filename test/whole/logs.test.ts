import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// Invariant 9: after a busy run no token and no password stands in any log, and no literal of a statement in Writ's own.
// The server's log is the server's: Postgres' default (log_min_error_statement = error) writes the text of a failing
// statement there, literals included. The embedded one keeps that default, in a file of mode 0600. Here it logs every
// statement, so that what Writ itself says to it is seen too.

const literal = 'sup3rs3cret-literal';
const secrets = new Map<string, string>();
let company: Company;

beforeAll(async () => {
  company = await startCompany({ env: { WRIT_LOG_LEVEL: 'trace' } });
  const admin = await company.admin();
  await admin.query("alter system set log_statement = 'all'");
  await admin.query('select pg_reload_conf()');
  await admin.end();
  await busy();
});
afterAll(() => company.stop());

interface Issued {
  readonly id: string;
  readonly password: string;
}

async function issued(...args: string[]): Promise<Issued> {
  return JSON.parse((await company.writ('credentials', ...args, '--json')).stdout) as Issued;
}

async function secret(name: string, value: string): Promise<string> {
  expect(value.length, name).toBeGreaterThan(20);
  secrets.set(name, value);
  return value;
}

const failing = [
  `select '${literal}'::int`,
  `select * from customers where name = '${literal}' and id = '${literal}'`,
  `selct '${literal}'`,
  `select '${literal}' from nosuch`,
  `delete from customers where name = '${literal}'`,
  `do $$begin raise '${literal}'; end$$`,
  `set statement_timeout = '${literal}'`,
  `copy (select '${literal}'::int) to stdout`,
];

async function busy(): Promise<void> {
  const token = await secret('token', (await company.writ('token', '--as', 'ana@acme.test')).stdout.trim());
  const nina = await secret(
    'token of nina',
    (await company.writ('token', '--as', 'nina@acme.test')).stdout.trim(),
  );
  const compact = await issued('shop', '--as', 'ana@acme.test');
  await secret('compact credential', compact.password);
  const revoked = await issued('shop', '--as', 'ana@acme.test');
  await secret('revoked credential', revoked.password);
  expect((await company.writ('revoke', revoked.id)).code).toBe(0);
  const as = (password: string, user = 'ana@acme.test') => ({ user, password });
  for (const config of [as(token), as(compact.password)]) {
    const client = await company.connect('ana@acme.test', 'shop', config);
    for (const text of failing) await expect(client.query(text), text).rejects.toThrow();
    const parameters = client.query('select $1::int', [literal]);
    await expect(parameters).rejects.toThrow();
    await client.end();
  }
  const lake = await company.connect('ana@acme.test', 'lake', as(token));
  for (const text of failing.slice(0, 5)) await expect(lake.query(text), text).rejects.toThrow();
  await lake.end();
  const wrong = await secret('forged token', `${token.slice(0, -8)}AAAAAAAA`);
  for (const config of [
    as(wrong),
    as(nina, 'nina@acme.test'),
    as(token, 'omar@acme.test'),
    as(revoked.password),
  ])
    await expect(company.connect('ana@acme.test', 'shop', config)).rejects.toThrow();
  const direct = await company.connectDirect('ana@acme.test', 'shop');
  await secret('direct credential', direct.credential.password);
  await direct.query('select count(*) from customers');
  await direct.end();
  for (const bearer of [token, wrong, compact.password])
    await fetch(`${company.endpoints.http}/api/v1/catalog?token=x`, {
      headers: { authorization: `Bearer ${bearer}` },
    });
}

const log = (name: string) => readFileSync(join(company.home, name), 'utf8');

/** Whole, and its last part alone: of a JWT the signature, of a credential the secret. */
const pieces = (value: string) => [value, value.split(/[.]/).at(-1)?.slice(-40) ?? value];

test('no token and no password stands in a log, nor in the record', () => {
  const audit = join(company.home, 'audit');
  const recorded = readdirSync(audit, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
  expect(recorded).toContain('session.refused');
  const places = {
    'writ.log': log('writ.log'),
    'cluster.log': log('cluster.log'),
    output: company.output(),
    audit: recorded,
  };
  for (const [place, text] of Object.entries(places))
    for (const [name, value] of secrets)
      for (const piece of pieces(value)) expect(text.includes(piece), `${name} in ${place}`).toBe(false);
  for (const place of ['writ.log', 'output', 'audit'] as const)
    expect(places[place].includes(literal), `the literal in ${place}`).toBe(false);
});

test('the server is told verifiers, never passwords; its own log keeps failing statements', async () => {
  const text = log('cluster.log');
  // A direct login's `password '…'`, and the argument of a gateway login's `format('… password %L …', role, '…')`.
  const direct = [...text.matchAll(/\bpassword\s+'([^']*)'/gi)].map((match) => match[1] ?? '');
  const gateway = [...text.matchAll(/password %L[^']*',\s*'[^']*',\s*'([^']*)'/g)].map(
    (match) => match[1] ?? '',
  );
  expect(direct.length).toBeGreaterThan(0);
  expect(gateway.length).toBeGreaterThan(1);
  for (const one of [...direct, ...gateway]) expect(one).toMatch(/^SCRAM-SHA-256\$\d+:/);
  const admin = await company.admin();
  const { rows } = await admin.query('show log_min_error_statement');
  await admin.end();
  expect(rows).toEqual([{ log_min_error_statement: 'error' }]);
  expect(text).toContain(literal);
});
