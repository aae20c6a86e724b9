import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { catalogOf, table } from './fixture.ts';

// One small company to say the model by: finance (Postgres, on the cluster that is labelled tier=production) and lake.

const totals = { id: 'bigint', total: 'numeric' } as const;
const company = {
  ...catalogOf({ finance: 'POSTGRES', lake: 'LAKE' }, [
    table('finance.hr.salaries', { id: 'bigint', mail: 'text', backup_mail: 'text', region: 'text' }),
    table('finance.hr.reviews', { id: 'bigint', mail: 'text', region: 'text' }),
    table('finance.hr.payroll', totals, 'VIEW', { reads: [name('finance.hr.salaries')] }),
    table('finance.hr.totals', totals, 'MATERIALIZED_VIEW', { reads: [name('finance.hr.salaries')] }),
    table('finance.ops.assets', { id: 'bigint', mail: 'text', region: 'text' }),
    table('lake.raw.events', { id: 'bigint', mail: 'text', region: 'text' }),
  ]),
  functions: new Map([
    [
      name('finance.hr.raise'),
      [
        {
          name: name('finance.hr.raise'),
          signature: 'integer',
          kind: 'FUNCTION',
          securityDefiner: false,
          engineOwner: 'app',
        } as const,
      ],
    ],
  ]),
};

const groups = `
kind: principals
groups:
  analysts: { members: [alice@x.io, seniors], comment: who reads }
  seniors: { members: [experts] }
  experts: { members: [erin@x.io, robot] }
  claimed: { source: claim }
servicePrincipals: { robot: { comment: nightly }, lonely: {} }
comment: people
`;

const now = Date.parse('2026-05-05T12:00:00Z');
const labels = new Map([['main', new Map([['tier', 'production']])]]);

export async function compile(...texts: readonly string[]) {
  const files = [groups, ...texts].map((text, i) => ({ path: `f${i}.yaml`, text }));
  const claimed = new Map([[parsePrincipalName('carl@x.io'), ['claimed', 'analysts'] as never[]]]);
  return compileFiles(files, company, [parsePrincipalName('carl@x.io')], now, labels, claimed);
}

/** @throws when the files do not compile */
export async function policyOf(...texts: readonly string[]): Promise<Snapshot> {
  const { snapshot, findings } = await compile(...texts);
  if (snapshot === undefined) throw new Error(findings.map(formatFinding).join('\n'));
  return snapshot;
}

export const salaries = 'finance.hr.salaries';
