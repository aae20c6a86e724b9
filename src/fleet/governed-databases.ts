import type { CatalogInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Cluster } from './cluster.ts';

/** A POSTGRES catalog's place: one database of one cluster. */
export interface Place {
  readonly catalog: SecurableName;
  readonly cluster: Cluster;
  readonly database: string;
}

/** @throws no_such_catalog, invalid_argument for a catalog that is no Postgres database, unreachable without its cluster */
export function placeOf(
  clusters: ReadonlyMap<string, Cluster>,
  catalogs: ReadonlyMap<SecurableName, CatalogInfo>,
  catalog: SecurableName,
): Place {
  const info = catalogs.get(catalog);
  if (info === undefined) {
    throw new WritError('no_such_catalog', { message: `no catalog ${JSON.stringify(catalog)}` });
  }
  if (info.kind !== 'POSTGRES' || info.database === undefined) {
    throw new WritError('invalid_argument', {
      message: `catalog ${catalog} is no Postgres database`,
      hint: 'it has no logins of its own: connect through the gateway',
    });
  }
  const cluster = clusters.get(info.cluster ?? '');
  if (cluster === undefined) {
    throw new WritError('unreachable', {
      message: `cluster ${info.cluster ?? '?'} of catalog ${catalog} is not configured`,
    });
  }
  return { catalog, cluster, database: info.database };
}

/** Every POSTGRES catalog whose cluster is configured. */
export function governedDatabases(
  clusters: ReadonlyMap<string, Cluster>,
  catalogs: ReadonlyMap<SecurableName, CatalogInfo>,
): readonly Place[] {
  return [...catalogs.values()].flatMap((info) => {
    const cluster = clusters.get(info.cluster ?? '');
    if (info.kind !== 'POSTGRES' || info.database === undefined || cluster === undefined) return [];
    return [{ catalog: info.name, cluster, database: info.database }];
  });
}
