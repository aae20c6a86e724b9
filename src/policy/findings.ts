import type { Place } from './document.ts';
import type { RuleOf } from './lint-rules.ts';
import type { Finding } from './model.ts';

/** Collects findings, so that everything that is wrong is reported and not only the first. Rules: lint-rules.ts. */
export class Findings {
  readonly list: Finding[] = [];

  error(rule: RuleOf<'error'>, at: Place, message: string, hint?: string): void {
    this.add('error', rule, at, message, hint);
  }

  warning(rule: RuleOf<'warning'>, at: Place, message: string, hint?: string): void {
    this.add('warning', rule, at, message, hint);
  }

  note(rule: RuleOf<'note'>, at: Place, message: string, hint?: string): void {
    this.add('note', rule, at, message, hint);
  }

  get hasErrors(): boolean {
    return this.list.some((finding) => finding.severity === 'error');
  }

  private add(
    severity: Finding['severity'],
    rule: string,
    at: Place,
    message: string,
    hint: string | undefined,
  ): void {
    const place = { path: at.path, line: at.line, column: at.column };
    this.list.push({ severity, rule, message, ...place, ...(hint === undefined ? {} : { hint }) });
  }
}

/** By path, line, column; at one place errors first. */
export function sortFindings(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted(
    (a, b) =>
      compareText(a.path, b.path) ||
      a.line - b.line ||
      a.column - b.column ||
      compareText(a.severity, b.severity) ||
      compareText(a.message, b.message),
  );
}

/** `path:line:column severity rule message`, the hint in brackets after it. */
export function formatFinding(finding: Finding): string {
  const place = `${finding.path}:${finding.line}:${finding.column}`;
  const hint = finding.hint === undefined ? '' : ` [${finding.hint}]`;
  return `${place} ${finding.severity} ${finding.rule} ${finding.message}${hint}`;
}

export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `, did you mean "x"?` when one of the known names is close to what was written; else empty. */
export function didYouMean(written: string, known: Iterable<string>): string {
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    if (Math.abs(name.length - written.length) > 3) continue;
    const distance = editDistance(written, name);
    const close = distance <= Math.min(3, Math.ceil(name.length / 3)) && distance < name.length;
    if (close && distance < (best?.distance ?? 9)) best = { name, distance };
  }
  return best === undefined ? '' : `, did you mean ${JSON.stringify(best.name)}?`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replace));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** `ana, omar and 3 others` */
export function formatPeople(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  const rest = names.length - 3;
  return rest > 0 ? `${shown} and ${rest} other${rest === 1 ? '' : 's'}` : shown;
}
