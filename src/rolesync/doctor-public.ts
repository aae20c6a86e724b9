import { readFileSync } from 'node:fs';
import type { AdminConnection } from '../fleet/cluster.ts';
import { child, type SecurableName } from '../kernel/securable-name.ts';
import { trustedSql } from '../kernel/sql.ts';
import type { DoctorContext, DoctorFinding, PublicPrivilege } from './doctor-finding.ts';
import { closing } from './public-privilege.ts';

interface PublicRow extends Record<string, unknown> {
  readonly class: PublicPrivilege['class'];
  readonly oid: number;
  readonly attnum: number;
  readonly name: string;
  readonly target: string;
  readonly column_name: string | null;
  readonly schema_name: string | null;
  readonly relation_name: string | null;
  readonly privilege: string;
  readonly kind: string | null;
  readonly owner: string;
  readonly grantor: string;
}

/** What PUBLIC, and with it every login of Writ, may do on the cluster and in this database. */
export async function publicFindings(
  connection: AdminConnection,
  context: DoctorContext,
): Promise<readonly DoctorFinding[]> {
  const query = trustedSql(readFileSync(new URL('./doctor-public.sql', import.meta.url), 'utf8'), 'file');
  const groups = new Map<string, PublicRow[]>();
  for (const row of await connection.query<PublicRow>(query)) {
    const id = findingId(row);
    groups.set(id, [...(groups.get(id) ?? []), row]);
  }
  return [...groups].map(([id, rows]) => findingOf(id, rows, context));
}

function findingId(row: PublicRow): string {
  switch (row.class) {
    case 'database':
      return `public-${{ CONNECT: 'connect', TEMPORARY: 'temp' }[row.privilege] ?? 'create'}:${row.name}`;
    case 'schema':
      return `public-create:schema:${row.name}`;
    case 'relation':
      return `public-${row.kind === 'widened' ? 'system' : 'table'}:${row.name}`;
    case 'function':
      return row.kind === 'large-object'
        ? 'public-large-objects'
        : `public-${row.kind === 'definer' ? 'definer' : row.kind === 'widened' ? 'system' : 'function'}:${row.name}`;
    default:
      return `public-${row.class}:${row.name}`;
  }
}

function findingOf(id: string, rows: readonly PublicRow[], context: DoctorContext): DoctorFinding {
  const [first] = rows;
  if (first === undefined) throw new Error('a finding has rows');
  const closes = rows.map(privilegeOf);
  const foreign = rows.filter((row) => row.grantor !== row.owner);
  const base = {
    id,
    severity: 'open-to-managed',
    accepts: true,
    where: id === 'public-large-objects' ? 'large-object functions of pg_catalog' : first.target,
    ...describe(first, rows, context),
  } as const;
  if (foreign.length === 0) return { ...base, closes, fix: closing(closes) };
  // A REVOKE by the owner or a superuser would silently do nothing.
  const grantors = [...new Set(foreign.map((row) => row.grantor))].join(', ');
  return { ...base, why: `${base.why}; granted by ${grantors}, who alone can revoke it` };
}

function privilegeOf(row: PublicRow): PublicPrivilege {
  const { oid, attnum, target, privilege } = row;
  return { class: row.class, oid, attnum, target, column: row.column_name ?? undefined, privilege };
}

interface Words {
  readonly title: string;
  readonly why: string;
}

function describe(row: PublicRow, rows: readonly PublicRow[], context: DoctorContext): Words {
  switch (row.class) {
    case 'database':
      return describeDatabase(row);
    case 'schema':
      return {
        title: `PUBLIC may create objects in schema ${row.name}`,
        why: 'a person could put a function or a table there that others then use by its name',
      };
    case 'relation':
      return describeRelation(row, rows, context);
    case 'function':
      return describeFunction(row);
    case 'server':
      return {
        title: `PUBLIC may use foreign server ${row.name}`,
        why: 'its user mapping reads elsewhere with rights that no policy knows',
      };
    default:
      return {
        title: `PUBLIC may define servers with foreign data wrapper ${row.name}`,
        why: 'a person could carry data to a server of their own',
      };
  }
}

function describeDatabase(row: PublicRow): Words {
  if (row.privilege === 'CONNECT') {
    return {
      title: `PUBLIC may connect to database ${row.name}`,
      why: 'every login of the cluster is let in, whatever the policy says of the catalog',
    };
  }
  if (row.privilege === 'TEMPORARY') {
    return {
      title: `PUBLIC may make temporary tables in database ${row.name}`,
      why: 'temporary tables and functions keep copies that end only with the session',
    };
  }
  return {
    title: `PUBLIC may create schemas in database ${row.name}`,
    why: 'whoever owns a schema makes tables and functions in it',
  };
}

function describeRelation(row: PublicRow, rows: readonly PublicRow[], context: DoctorContext): Words {
  const may = [...new Set(rows.map((one) => one.privilege))].join(', ');
  const name = securableOf(row, context.catalog);
  if (row.kind === 'widened') {
    return { title: `PUBLIC holds ${may} on ${row.name}`, why: 'Postgres keeps this relation from PUBLIC' };
  }
  if (name !== undefined && context.ruled.has(name)) {
    const what = row.kind === 'v' || row.kind === 'm' ? 'view over ruled tables' : 'ruled table';
    return {
      title: `PUBLIC holds ${may} on ${what} ${row.name}`,
      why: 'every login reads it as it is, outside row filters and column masks',
    };
  }
  return {
    title: `PUBLIC holds ${may} on ${row.name}`,
    why: 'every login that may connect has it, also where the policy gives no right to it',
  };
}

function describeFunction(row: PublicRow): Words {
  switch (row.kind) {
    case 'large-object':
      return {
        title: 'PUBLIC may write large objects',
        why: 'large objects keep and pass on data outside tables, filters and masks',
      };
    case 'definer':
      return {
        title: `PUBLIC may call SECURITY DEFINER function ${row.name}`,
        why: `it runs with the rights of ${row.owner} and can return what the policy hides; a view or default that calls it needs EXECUTE for its users`,
      };
    case 'widened':
      return {
        title: `PUBLIC may call ${row.name}`,
        why: 'Postgres keeps this function from PUBLIC',
      };
    default:
      return {
        title: `PUBLIC may call ${row.name}`,
        why: 'it connects to other servers, and carries data there',
      };
  }
}

function securableOf(row: PublicRow, catalog: SecurableName): SecurableName | undefined {
  if (row.schema_name === null || row.relation_name === null) return undefined;
  return child(child(catalog, row.schema_name), row.relation_name);
}
