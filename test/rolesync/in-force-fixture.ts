import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type OpenAuditLog, openAuditLog } from '../../src/audit/log.ts';
import { openSqliteStore } from '../../src/catalog/sqlite-store.ts';
import type { CatalogStore } from '../../src/catalog/store.ts';
import { type PrincipalName, parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';
import type { PolicyFile } from '../../src/policy/model.ts';
import { type InForce, openInForce, type PolicyInForceOptions } from '../../src/rolesync/in-force.ts';
import { openLastGoodCatalog } from '../../src/rolesync/last-good-catalog.ts';
import { table } from '../policy/fixture.ts';

// A policy in force over a lake: real store, real log, no cluster to wait for.

export interface Ruled {
  readonly inForce: InForce;
  readonly store: CatalogStore;
  readonly audit: OpenAuditLog;
  /** Milliseconds; move it to let time pass. */
  readonly clock: { time: number; now(): number };
  readonly folder: string;
  /** Whose rights shrank, change by change. */
  readonly shrunk: PrincipalName[][];
  files(text: string): readonly PolicyFile[];
  apply(text: string): ReturnType<InForce['apply']>;
  /** The same store, as a restart finds it. */
  reopen(): Promise<InForce>;
}

export const pat = { principal: parsePrincipalName('pat@acme.test'), credential: 'oidc:1' };
const lake = name('lake');

/** `tables` of the schema lake.s, each with id and email. */
export async function rule(
  text: string,
  options: Partial<PolicyInForceOptions> & { readonly tables?: readonly string[] } = {},
): Promise<Ruled> {
  const { tables = ['t', 'u'], ...more } = options;
  const folder = mkdtempSync(join(tmpdir(), 'writ-in-force-'));
  const clock = { time: Date.parse('2026-05-01T10:00:00Z'), now: () => clock.time };
  const audit = openAuditLog({ folder: join(folder, 'audit'), writer: 'gateway', clock });
  const store = openSqliteStore({ file: join(folder, 'catalog.db') });
  store.putCatalog({ name: lake, kind: 'LAKE', location: '/nowhere' });
  discover(store, tables);
  const files = (written: string) => [{ path: 'p.yaml', text: written }];
  const open = () =>
    openInForce({
      ...{ store, audit, clock, clusters: new Map() },
      lastGood: openLastGoodCatalog(join(folder, 'last-good.json')),
      loadFiles: async () => files(text),
      ...more,
    });
  const inForce = await open();
  const shrunk: PrincipalName[][] = [];
  inForce.onChange(({ plan }) => void shrunk.push([...plan.shrunk].sort()));
  onTestFinished(async () => {
    inForce.close();
    await audit.close();
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await inForce.apply(pat);
  const apply: Ruled['apply'] = (written) => inForce.apply(pat, { files: files(written) });
  return { ...{ inForce, store, audit, clock, folder, shrunk, files, apply }, reopen: open };
}

export function discover(store: CatalogStore, tables: readonly string[]): void {
  store.replaceDiscovered(lake, {
    schemas: [name('lake.s')],
    tables: tables.map((one) => table(`lake.s.${one}`, { id: 'bigint', email: 'text' })),
    functions: [],
    partitions: [],
  });
}
