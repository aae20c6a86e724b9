import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { CatalogInfo } from '../catalog/model.ts';
import type { GitSource } from '../config/policy-source.ts';
import { type Reference, resolveReference } from '../config/reference.ts';
import type { Environment, Settings } from '../config/settings.ts';
import { parseWritYaml, placeInYaml, type WritYaml } from '../config/writ-yaml.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import { parseSecurableName, type SecurableName } from '../kernel/securable-name.ts';
import { repositoryAddress } from '../policy/source/address.ts';
import { expectOnePrincipalPerKey } from '../policy/source/allowed-signers.ts';
import type { GitFollowing, InstanceConfig } from './parts.ts';

// From a writ.yaml to what an instance is opened with: references resolved, files read, relative paths made absolute.
// Files that it names start where it stands; state (store, audit log) starts at WRIT_HOME.

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly caFile: string;
}

export interface ServeConfig {
  readonly instance: Omit<InstanceConfig, 'tls'>;
  /** undefined: loopback only, with a certificate made for this home. */
  readonly tls: TlsFiles | undefined;
}

type Path = readonly (string | number)[];
type Check = <T>(path: Path, read: () => T) => T;

/** @param text of the writ.yaml at `file` @throws invalid_config with file, line and column */
export function serveConfig(text: string, file: string, settings: Settings, env: Environment): ServeConfig {
  const yaml = parseWritYaml(text, file);
  const folder = dirname(resolve(file));
  const check: Check = (path, read) => {
    try {
      return read();
    } catch (thrown) {
      const { message, detail, hint } = toWritError(thrown);
      throw new WritError('invalid_config', {
        message: `${placeInYaml(text, file, path)}: ${path.join('.')}: ${message}`,
        ...(detail === undefined ? {} : { detail }),
        ...(hint === undefined ? {} : { hint }),
        cause: thrown,
      });
    }
  };
  const secret = (path: Path, reference: Reference) =>
    check(path, () => resolveReference(reference, env, folder));
  const { home } = settings;
  const { source } = yaml.policy;
  const parts = { folder, home, env, check, secret };
  return {
    instance: {
      home,
      logLevel: settings.logLevel,
      httpPort: yaml.listen.http.port,
      pgPort: yaml.listen.postgres.port,
      pgHost: yaml.listen.postgres.host,
      policies: resolve(folder, typeof source === 'string' ? source : source.folder),
      clusters: clustersOf(yaml, secret),
      catalogs: catalogsOf(yaml, folder, home),
      issuers: yaml.issuers.map(({ issuer, audience, groupsClaim, emailDomains }) => ({
        issuer,
        audience,
        ...(groupsClaim === undefined ? {} : { groupsClaim }),
        ...(emailDomains === undefined ? {} : { emailDomains }),
      })),
      allowPlaintextLoopback: false,
      allowLoopbackHttp: yaml.issuers.some((issuer) => issuer.allowLoopbackHttp),
      hardenOnFirstStart: false,
      storeFile: resolve(home, yaml.store.kind === 'sqlite' ? yaml.store.path : 'catalog.sqlite'),
      audit: { folder: resolve(home, yaml.audit.folder), segmentBytes: yaml.audit.segmentBytes },
      guards: yaml.policy.guards,
      ...(typeof source === 'string' ? {} : { git: gitOf(source, parts) }),
    },
    tls: tlsOf(yaml, folder, check),
  };
}

function clustersOf({ clusters }: WritYaml, secret: (path: Path, reference: Reference) => string) {
  return Object.entries(clusters).map(([name, { adminUrl, host, port, labels }]) => ({
    name,
    adminUrl: secret(['clusters', name, 'adminUrl'], adminUrl),
    host,
    port,
    labels,
  }));
}

function catalogsOf({ catalogs, audit }: WritYaml, folder: string, home: string): readonly CatalogInfo[] {
  const named = Object.entries(catalogs).map(
    ([name, catalog]): CatalogInfo =>
      catalog.kind === 'POSTGRES'
        ? {
            name: name as SecurableName,
            kind: 'POSTGRES',
            cluster: catalog.cluster,
            database: catalog.database,
          }
        : { name: name as SecurableName, kind: 'LAKE', location: resolve(folder, catalog.location) },
  );
  return [
    ...named,
    { name: 'system' as SecurableName, kind: 'SYSTEM', location: resolve(home, audit.folder) },
  ];
}

function tlsOf({ listen }: WritYaml, folder: string, check: Check): TlsFiles | undefined {
  const { tls } = listen.postgres;
  if (tls === undefined) return undefined;
  const at = (key: 'certificate' | 'key') =>
    check(['listen', 'postgres', 'tls', key], () => readText(resolve(folder, tls[key])));
  return {
    certificate: at('certificate'),
    key: at('key'),
    caFile: resolve(folder, tls.ca ?? tls.certificate),
  };
}

interface GitParts {
  readonly folder: string;
  readonly home: string;
  readonly env: Environment;
  readonly check: Check;
  readonly secret: (path: Path, reference: Reference) => string;
}

function gitOf(source: GitSource, { folder, home, env, check, secret }: GitParts): GitFollowing {
  const path = ['policy', 'source'];
  const text = secret([...path, 'git'], source.git);
  const trust = source.trust === 'none' ? undefined : source.trust;
  const file = (key: 'allowedSigners' | 'revokedSigners') => {
    const name = trust?.[key];
    if (name === undefined) return {};
    const absolute = resolve(folder, name);
    const text = check([...path, 'trust', key], () => readText(absolute));
    if (key === 'allowedSigners') check([...path, 'trust', key], () => expectOnePrincipalPerKey(text));
    return { [key]: absolute };
  };
  return {
    repository: {
      address: check([...path, 'git'], () => repositoryAddress(text, folder)),
      ref: source.ref.startsWith('refs/') ? source.ref : `refs/heads/${source.ref}`,
      folder: source.folder,
      mirror: join(home, 'policy-repository'),
      keys: {
        ...file('allowedSigners'),
        ...file('revokedSigners'),
        ...(trust?.gpgHome === undefined ? {} : { gpgHome: resolve(folder, trust.gpgHome) }),
      },
      env,
    },
    trust:
      trust === undefined
        ? undefined
        : {
            initial: trust.initial,
            delegations: trust.delegations.map(({ on, ...rest }, i) => ({
              ...rest,
              on: on?.map((name, j) =>
                check([...path, 'trust', 'delegations', i, 'on', j], () => parseSecurableName(name)),
              ),
            })),
            approvals: trust.approvals,
          },
    everySeconds: source.everySeconds,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WritError('invalid_config', {
      message: `file ${basename(path)} cannot be read (${path})`,
      cause,
    });
  }
}
