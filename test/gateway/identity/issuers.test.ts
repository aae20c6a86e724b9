import { describe, expect, test } from 'vitest';
import { openIssuers } from '../../../src/gateway/identity/issuers.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { makeKey, openDoor, outcome, startIssuer } from './fixture.ts';

const seconds = () => Math.floor(Date.now() / 1000);
const discovery = '/.well-known/openid-configuration';

describe('discovery', () => {
  test('must name exactly the issuer', async () => {
    const issuer = await startIssuer(seconds);
    issuer.serves.set(discovery, () => ({
      body: JSON.stringify({ issuer: `${issuer.url}/`, jwks_uri: `${issuer.url}/jwks` }),
    }));
    expect(await outcome(openDoor([issuer.url]), await issuer.sign())).toMatch(/^08006: .*it says issuer/);
  });

  test.each([
    ['an error', { status: 500, body: '' }, /status 500/],
    ['no JSON', { body: '<html>' }, /no JSON object/],
    ['no keys', { body: '{}' }, /it says issuer undefined/],
    ['more than 64 KiB', { body: JSON.stringify({ filling: 'x'.repeat(70_000) }) }, /more than 65536 bytes/],
    ['another place', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' }, /redirect/],
  ])('that answers with %s is a clear error', async (_, answer, detail) => {
    const issuer = await startIssuer(seconds);
    issuer.serves.set(discovery, () => answer);
    const said = await outcome(openDoor([issuer.url]), await issuer.sign());
    expect(said).toMatch(/^08006: /);
    expect(said).toMatch(detail);
  });

  test('that failed is tried again after a second, not before', async () => {
    const issuer = await startIssuer(seconds);
    const door = openDoor([issuer.url]);
    const good = issuer.serves.get(discovery);
    issuer.serves.set(discovery, () => ({ status: 503, body: '' }));
    const token = await issuer.sign();
    for (let i = 0; i < 5; i++) expect(await outcome(door, token)).toMatch(/^08006: /);
    expect(issuer.asked).toHaveLength(1);
    if (good !== undefined) issuer.serves.set(discovery, good);
    door.clock.time += 1_500;
    expect(await outcome(door, token)).toBe('ana@acme.test');
  });

  test('many tokens at once ask once', async () => {
    const issuer = await startIssuer(seconds);
    const door = openDoor([issuer.url]);
    const tokens = await Promise.all([1, 2, 3, 4, 5].map((jti) => issuer.sign({ jti: String(jti) })));
    const answers = await Promise.all(tokens.map((token) => outcome(door, token)));
    expect(new Set(answers)).toEqual(new Set(['ana@acme.test']));
    expect(issuer.asked).toEqual([discovery, '/jwks']);
  });
});

describe('keys', () => {
  test('an unknown kid does not make us fetch again and again', async () => {
    const issuer = await startIssuer(seconds);
    const door = openDoor([issuer.url]);
    expect(await outcome(door, await issuer.sign())).toBe('ana@acme.test');
    const foreign = await makeKey('k-unknown');
    for (let i = 0; i < 10; i++) {
      expect(await outcome(door, await issuer.sign({ jti: String(i) }, {}, foreign))).toMatch(/^28P01: /);
    }
    expect(issuer.asked.filter((path) => path === '/jwks')).toHaveLength(1);
  });

  test('that are too large are not read', async () => {
    const issuer = await startIssuer(seconds);
    issuer.serves.set('/jwks', () => ({ body: JSON.stringify({ keys: [], filling: 'x'.repeat(70_000) }) }));
    expect(await outcome(openDoor([issuer.url]), await issuer.sign())).toMatch(/^08006: .*more than 65536/);
  });
});

describe('plain http', () => {
  const open = (issuer: string, allowLoopbackHttp: boolean) =>
    openIssuers([{ issuer, audience: 'writ' }], { clock: systemClock, allowLoopbackHttp });

  test('is for loopback addresses, and only where allowed', () => {
    expect(() => open('http://127.0.0.1:9', true)).not.toThrow();
    expect(() => open('http://[::1]:9', true)).not.toThrow();
    expect(() => open('https://idp.example', false)).not.toThrow();
    expect(() => open('http://127.0.0.1:9', false)).toThrow(/https/);
    for (const url of ['http://idp.example', 'http://127.0.0.1.evil.example', 'file:///etc/passwd', 'idp']) {
      expect(() => open(url, true)).toThrow(/https/);
    }
  });
});
