import type { Cluster } from '../fleet/cluster.ts';
import { isWithin, type SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { tablesBeneath } from '../policy/tables-beneath.ts';
import type { DoctorContext, DoctorFinding } from './doctor-finding.ts';
import { publicFindings } from './doctor-public.ts';
import { roleFindings } from './doctor-roles.ts';
import { serverFindings } from './doctor-server.ts';

export type { DoctorContext, DoctorFinding } from './doctor-finding.ts';

/**
 * Every way around the policy that this cluster has for one governed database;
 * the open ones first. Reads only.
 */
export async function doctor(
  cluster: Cluster,
  database: string,
  context: DoctorContext,
): Promise<readonly DoctorFinding[]> {
  const version = await cluster.version();
  const findings = await cluster.withAdmin(database, async (connection) => [
    ...(await publicFindings(connection, context)),
    ...(await roleFindings(connection, context)),
    ...(await serverFindings(connection, version)),
  ]);
  return findings.toSorted((a, b) => Number(a.severity === 'reported') - Number(b.severity === 'reported'));
}

/** Findings that a login of Writ can use and that nobody accepted by name: no direct credential is issued meanwhile. */
export function blocksDirect(
  findings: readonly DoctorFinding[],
  accepted: ReadonlySet<string>,
): readonly DoctorFinding[] {
  return findings.filter(
    (finding) => finding.severity === 'open-to-managed' && !(finding.accepts && accepted.has(finding.id)),
  );
}

/** Tables with rules, their partitions, and views that show rows of them, of one catalog. */
export function ruledRelations(snapshot: Snapshot, catalog: SecurableName): DoctorContext['ruled'] {
  const ruled = new Set<SecurableName>();
  for (const [name, info] of snapshot.catalog.tables) {
    if (!isWithin(name, catalog)) continue;
    const beneath = tablesBeneath(snapshot, info);
    // A view of which not everything is known counts: better one finding too many.
    if (beneath === undefined || beneath.some((table) => snapshot.tableRules(table) !== undefined))
      ruled.add(name);
  }
  for (const [partition, parent] of snapshot.catalog.partitions) if (ruled.has(parent)) ruled.add(partition);
  return ruled;
}
