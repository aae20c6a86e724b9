import { parsePrincipalName } from '../kernel/principal.ts';
import { parsePrivilege } from '../kernel/privilege.ts';
import { parseSecurableName } from '../kernel/securable-name.ts';
import type { DocumentsUnderway, Placed, TestEntry, TestTable } from './document.ts';
import type { Findings } from './findings.ts';
import { readInvariant } from './parse-invariants.ts';
import { present, readComment } from './parse-names.ts';
import type { Field, YamlValue } from './yaml-reader.ts';

/** `kind: tests`: rows, tests and invariants; kept as written. */
export function readTests(root: YamlValue, into: DocumentsUnderway, findings: Findings): void {
  const fields = root.fields('tests', {
    kind: 'required',
    tables: 'optional',
    tests: 'optional',
    invariants: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return;
  readComment(fields.comment);
  for (const field of fields.tables?.entries('tables') ?? []) {
    const table = readTable(field, findings);
    if (table !== undefined) into.testTables.push(table);
  }
  for (const entry of fields.tests?.list('tests') ?? []) {
    const test = readTest(entry, findings);
    if (test !== undefined) into.tests.push(test);
  }
  for (const entry of fields.invariants?.list('invariants') ?? []) {
    const invariant = readInvariant(entry, findings);
    if (invariant !== undefined) into.invariants.push(invariant);
  }
}

function readTable({ key, value }: Field, findings: Findings): TestTable | undefined {
  try {
    const name = { value: parseSecurableName(key.value), at: key.at };
    const columns = new Map<string, Placed<string>>();
    const rows = value.list(`rows of ${key.value}`).map((row) => {
      const fields = row.entries(`a row of ${key.value}`);
      for (const field of fields) if (!columns.has(field.key.value)) columns.set(field.key.value, field.key);
      return Object.fromEntries(fields.map((field) => [field.key.value, field.value.plain()]));
    });
    return { name, rows, columns: [...columns.values()] };
  } catch {
    findings.error('invalid-name', key.at, `invalid table name ${JSON.stringify(key.value)}`);
    return undefined;
  }
}

function readTest(entry: YamlValue, findings: Findings): TestEntry | undefined {
  const fields = entry.fields('a test', {
    as: 'required',
    query: 'optional',
    rows: 'optional',
    can: 'optional',
    cannot: 'optional',
    on: 'optional',
    because: 'optional',
    comment: 'optional',
  });
  if (fields === undefined) return undefined;
  readComment(fields.comment);
  const as = fields.as?.parsed('as', 'invalid-name', parsePrincipalName);
  if (as === undefined) return undefined;
  const asked = [fields.query, fields.can, fields.cannot].filter(present);
  if (asked.length !== 1) {
    findings.error('missing-key', entry.at, 'a test needs "query", "can" or "cannot", one of them');
    return undefined;
  }
  if (fields.query !== undefined) {
    const query = fields.query.text('query');
    const rows = fields.rows?.list('rows').map((row) => row.list('a row').map((cell) => cell.plain()));
    if (rows === undefined) findings.error('missing-key', entry.at, 'a test with "query" needs "rows"');
    return query === undefined || rows === undefined
      ? undefined
      : { at: entry.at, as, check: { kind: 'rows', query, rows } };
  }
  const kind = fields.can === undefined ? 'cannot' : 'can';
  const privilege = (fields.can ?? fields.cannot)?.parsed(kind, 'unknown-privilege', parsePrivilege);
  const on = fields.on?.parsed('on', 'invalid-name', parseSecurableName);
  if (fields.on === undefined) findings.error('missing-key', entry.at, `a test with "${kind}" needs "on"`);
  if (privilege === undefined || on === undefined) return undefined;
  const because = fields.because?.scalarText('because');
  return { at: entry.at, as, check: { kind, privilege, on, because } };
}
