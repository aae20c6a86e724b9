import { describe, expect, it } from 'vitest';
import { exampleYaml, parseWritYaml, writYamlJsonSchema } from '../../src/config/writ-yaml.ts';

const least = 'issuers: [{ issuer: "https://login.example.com" }]\npolicy: { source: policies }\n';

function errorsOf(text: string): string {
  try {
    parseWritYaml(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no error';
}

describe('writ.yaml', () => {
  it('reads its own example', () => {
    const config = parseWritYaml(exampleYaml);
    expect(config.clusters['main']?.adminUrl).toEqual({ env: 'MAIN_ADMIN_URL' });
    expect(config.catalogs['shop']).toEqual({ kind: 'POSTGRES', cluster: 'main', database: 'shop' });
    expect(config.listen.postgres.port).toBe(6432);
  });

  it('fills in defaults', () => {
    expect(parseWritYaml(least)).toMatchObject({
      clusters: {},
      issuers: [{ audience: 'writ' }],
      listen: { http: { host: '127.0.0.1', port: 8080 }, postgres: { port: 6432 } },
      store: { kind: 'sqlite', path: 'catalog.sqlite' },
      audit: { folder: 'audit', redactLiterals: true },
    });
  });

  it('says line and column of what is wrong, all at once', () => {
    const errors = errorsOf(
      `${least}clusters:\n  main: { host: db, port: 70000, adminUrl: x }\nstroe: {}\n`,
    ).split('\n');
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatch(/^writ\.yaml:4:27: clusters\.main\.port: /);
    expect(errors[1]).toMatch(/^writ\.yaml:5:8: stroe: unknown key$/);
  });

  it('refuses a catalog on an unknown cluster, and reserved names', () => {
    expect(errorsOf(`${least}catalogs: { shop: { kind: POSTGRES, cluster: nope, database: shop } }\n`)).toBe(
      'writ.yaml:3:46: catalogs.shop.cluster: no cluster "nope" under clusters',
    );
    expect(errorsOf(`${least}catalogs: { system: { kind: LAKE, location: x } }\n`)).toContain(
      'reserved name',
    );
  });

  it('refuses broken YAML, duplicate keys and an empty file', () => {
    expect(errorsOf('clusters: [')).toMatch(/^writ\.yaml:1:\d+: /);
    expect(errorsOf(`${least}policy: { source: other }\n`)).toMatch(
      /^writ\.yaml:3:1: Map keys must be unique/,
    );
    expect(errorsOf('')).toContain('issuers');
  });

  it('refuses a configuration in which nobody could sign in', () => {
    expect(errorsOf('issuers: []\npolicy: { source: p }\n')).toContain('at least one issuer');
  });

  it('takes limits of guards, and refuses others', () => {
    const policy = least.replace(/policy:.*/, 'policy: { source: p, guards: { maxWidened: 3 } }');
    expect(parseWritYaml(policy).policy.guards).toEqual({ maxWidened: 3 });
    expect(errorsOf(policy.replace('maxWidened', 'allowEmpty'))).toContain('allowEmpty: unknown key');
  });

  const following = (source: string) =>
    errorsOf(`issuers: [{ issuer: "https://login.example.com" }]\npolicy: { source: ${source} }\n`);
  it.each([
    '{ git: /srv/policies.git, trust: none }',
    '{ git: { env: POLICIES }, ref: refs/tags/in-force, folder: ., trust: { gpgHome: keys } }',
    '{ git: x, ref: team/shop-2.0_b, folder: a/b c, trust: { allowedSigners: f } }',
  ])('reads a repository to follow: %s', (source) => {
    expect(following(source)).toBe('no error');
  });

  it.each([
    ['{ git: x }', 'writ.yaml:2:19: policy.source.trust: say whose signatures count'],
    ['{ git: x, trust: {} }', 'policy.source.trust: name allowedSigners'],
    ['{ git: x, trust: some }', 'policy.source.trust: '],
    [
      '{ git: x, trust: { allowedSigners: f, initial: main } }',
      'policy.source.trust.initial: a full commit id',
    ],
    [
      '{ git: x, trust: { allowedSigners: f, delegations: [{ paths: [a, a], signers: [b] }] } }',
      'delegated twice',
    ],
    ['{ git: x, trust: { allowedSigners: f, approvals: [{ paths: ["../a"], by: [b] }] } }', 'a path pattern'],
    ['{ git: x, trust: none, refs: main }', 'policy.source.refs: unknown key'],
    ...[
      '--upload-pack=x',
      'a..b',
      'a b',
      'a:b',
      'main.lock',
      '/main',
      'main/',
      'HEAD^',
      'a@{1}',
      '+main',
      '',
    ].map((ref) => [
      `{ git: x, trust: none, ref: ${JSON.stringify(ref)} }`,
      'policy.source.ref: the name of a branch',
    ]),
    ...['../x', '/etc', 'a/../b', ':(top)', '-x', 'a//b', 'a/./b'].map((folder) => [
      `{ git: x, trust: none, folder: ${JSON.stringify(folder)} }`,
      'policy.source.folder: a folder inside',
    ]),
  ])('refuses to follow %s', (source, why) => {
    expect(following(source ?? '')).toContain(why);
  });

  it.each([
    ['store: { kind: postgres, url: x }', 'store.kind: a store in Postgres cannot be served yet'],
    ['audit: { redactLiterals: false }', 'audit.redactLiterals: literals are always redacted'],
    ['listen: { http: { host: 0.0.0.0 } }', 'listen.http.host: HTTP is served on loopback only'],
    ['listen: { postgres: { host: 0.0.0.0 } }', 'listen.postgres.host: without tls only loopback'],
  ])('refuses what cannot be served, with the reason: %s', (line, why) => {
    expect(errorsOf(`${least}${line}\n`)).toContain(why);
  });

  it('refuses an issuer by http, but for loopback when it is said', () => {
    const issuer = (url: string, more = '') =>
      errorsOf(`issuers: [{ issuer: "${url}"${more} }]\npolicy: { source: p }\n`);
    expect(issuer('http://login.example.com', ', allowLoopbackHttp: true')).toContain('https only');
    expect(issuer('http://127.0.0.1:8081')).toContain('https only');
    expect(issuer('http://127.0.0.1:8081', ', allowLoopbackHttp: true')).toBe('no error');
  });

  it('prints a JSON Schema', () => {
    expect(writYamlJsonSchema()).toMatchObject({ type: 'object', required: ['issuers', 'policy'] });
  });
});
