import { listLintRules } from './lint-rules.ts';
import type { Finding } from './model.ts';

// SARIF 2.1.0 (OASIS): what code review tools read. Rules come from the table, so that a result never lacks its own.

export interface SarifRun {
  readonly version: string;
  /** Folder of the files, relative to the root of the repository, with forward slashes; empty: the root. */
  readonly folder: string;
  readonly notChecked: readonly string[];
}

/** The log of one run of lint. A row without `helpUri`: the documentation has no absolute address to give. */
export function sarifLog(findings: readonly Finding[], run: SarifRun): object {
  const rules = listLintRules();
  const indexes = new Map<string, number>(rules.map(({ id }, i) => [id, i]));
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'Writ', semanticVersion: run.version, rules: rules.map(descriptor) },
        },
        columnKind: 'utf16CodeUnits',
        invocations: [{ executionSuccessful: true, toolExecutionNotifications: notifications(run) }],
        results: findings.map((finding) => result(finding, run.folder, indexes.get(finding.rule) ?? -1)),
      },
    ],
  };
}

function descriptor({ id, severity, what, fix }: ReturnType<typeof listLintRules>[number]): object {
  return {
    id,
    shortDescription: { text: what },
    help: { text: `${what} ${fix}`, markdown: `${what}\n\n**What to do:** ${fix}` },
    defaultConfiguration: { level: severity },
  };
}

function notifications({ notChecked }: SarifRun): readonly object[] {
  if (notChecked.length === 0) return [];
  return [{ level: 'note', message: { text: `Not checked: ${notChecked.join(', ')}` } }];
}

function result(finding: Finding, folder: string, ruleIndex: number): object {
  const path = folder === '' ? finding.path : `${folder}/${finding.path}`;
  const hint = finding.hint === undefined ? '' : ` (${finding.hint})`;
  return {
    ruleId: finding.rule,
    ...(ruleIndex < 0 ? {} : { ruleIndex }),
    level: finding.severity,
    message: { text: `${finding.message}${hint}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: path.split('/').map(encodeURIComponent).join('/') },
          region: { startLine: finding.line, startColumn: finding.column },
        },
      },
    ],
  };
}
