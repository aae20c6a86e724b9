import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decisionClient } from '../../../src/gateway/http/decision-client.ts';
import { operatorName, type PrincipalName } from '../../../src/kernel/principal.ts';
import type { Caller } from '../../../src/kernel/route.ts';
import { compileFiles } from '../../../src/policy/compile.ts';
import { sampleCatalog } from '../../policy/fixture.ts';

const token = 'd'.repeat(64);
/** The only one who manages the sample's metastore. */
const managing = operatorName;

/** Signs in whoever's name is the token. */
const signIn = async (given: string | undefined): Promise<Caller> => {
  if (given === undefined) throw new Error('no token');
  return { principal: given as PrincipalName, credential: 'test', operator: false, address: '' };
};

const files = [{ path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') }];
const { snapshot } = await compileFiles(files, sampleCatalog(), [], 0);
if (snapshot === undefined) throw new Error('the sample does not compile');
const currentSnapshot = () => snapshot;

function ask(
  {
    bearer,
    inUrl,
    address = '10.0.0.1',
    host = '127.0.0.1:8080',
    origin,
  }: { bearer?: string; inUrl?: string; address?: string; host?: string; origin?: string },
  trustLoopback = false,
) {
  return decisionClient({ bearer, inUrl, address, host, origin }, signIn, {
    currentSnapshot,
    decisionClients: { token, trustLoopback },
  }).then(
    (caller) => caller.credential,
    (error: Error) => error.message,
  );
}

test('the decision token, wherever it stands; MANAGE on the metastore in a header only', async () => {
  expect(await ask({ bearer: token })).toBe('decision-token');
  expect(await ask({ inUrl: token })).toBe('decision-token');
  expect(await ask({ bearer: managing })).toBe('test');
  expect(await ask({ inUrl: managing })).toMatch(/not the decision token/);
  expect(await ask({ bearer: 'ana@x.io' })).toMatch(/may not ask/);
  expect(await ask({ bearer: 'ana@x.io', inUrl: token })).toMatch(/may not ask/);
});

test('no token: from this machine, under writ dev', async () => {
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    expect(await ask({ address }, true)).toBe('loopback');
    expect(await ask({ address })).toBe('no token');
  }
  expect(await ask({ address: '10.0.0.1' }, true)).toBe('no token');
  expect(await ask({ address: '127.0.0.1', inUrl: 'wrong' }, true)).toMatch(/not the decision token/);
});

test('a page in a browser on this machine is no engine', async () => {
  const address = '127.0.0.1';
  expect(await ask({ address, host: 'localhost:8080' }, true)).toBe('loopback');
  expect(await ask({ address, host: '[::1]' }, true)).toBe('loopback');
  for (const host of ['evil.example:8080', '127.0.0.1.evil.example', 'evil.example#127.0.0.1', ''])
    expect(await ask({ address, host }, true)).toBe('no token');
  expect(await ask({ address, origin: 'http://evil.example' }, true)).toBe('no token');
  expect(await ask({ address, origin: 'null' }, true)).toBe('no token');
});

const nothing = { bearer: undefined, inUrl: undefined, address: '', host: undefined, origin: undefined };

test('an engine is recorded as one, never as the operator', async () => {
  const caller = await decisionClient({ ...nothing, bearer: token }, signIn, {
    currentSnapshot,
    decisionClients: { token, trustLoopback: false },
  });
  expect(caller.operator).toBe(false);
  expect(caller.principal).not.toBe(operatorName);
});
