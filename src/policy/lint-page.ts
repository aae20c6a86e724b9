import { adviceIds, type LintRule, type LintRuleId, listLintRules, type Severity } from './lint-rules.ts';

// docs/lint.md, printed from the table that the code uses; a test keeps the file equal to it.

const severities: Record<Severity, string> = {
  error: 'Errors: the policy does not compile',
  warning: 'Warnings: it compiles, and lint fails',
  note: 'Notes: worth knowing, nothing fails; printed with `--all`',
};

/** The page about `writ policy lint` and `writ policy fmt`, as Markdown. */
export function lintPage(): string {
  const order: readonly Severity[] = ['error', 'warning', 'note'];
  return [...head, ...order.flatMap(section), ...tail].join('\n');
}

function section(severity: Severity): string[] {
  const rules = listLintRules().filter((rule) => rule.severity === severity);
  return [
    `## ${severities[severity]}`,
    '',
    '| rule | what and why | what to do | needs |',
    '|---|---|---|---|',
    ...rules.map((rule) => line(rule)),
    '',
  ];
}

function line(rule: LintRule & { readonly id: LintRuleId }): string {
  return `| <a id="${rule.id}"></a>\`${rule.id}\` | ${rule.what} | ${rule.fix} | ${remarks(rule)} |`;
}

function remarks({ id, needs }: LintRule & { readonly id: LintRuleId }): string {
  const parts = [needs === undefined ? [] : ['a catalog'], adviceIds.has(id) ? ['no errors'] : []];
  return parts.flat().join(', ');
}

const head = [
  '# Checking and formatting policy files',
  '',
  '`writ policy lint` prints every finding as `path:line:column severity rule message`, with what to do beneath.',
  'It exits 1 when there is an error or a warning, 0 when there is none; notes do not count.',
  '',
  '- With an instance running it is asked: it knows the catalogs, the people and the labels of its clusters.',
  '- `--catalog FILE` checks against a catalog that `writ catalog export --out FILE` wrote: for the pipeline of a policy',
  '  repository, where no instance runs. Labels of clusters are not in it: of `clusters:` only `name` is known there.',
  '- With neither, rules that need a catalog are not checked, and lint says which. Some rules look at the policy as a whole and',
  '  wait until there are no errors.',
  '- `--format sarif` prints SARIF 2.1.0 for code review, `--format json` (or `--json`) plain JSON; both carry the notes too.',
  '',
];

const tail = [
  '## Names over 63 bytes',
  '',
  'Postgres cuts identifiers at 63 bytes and says so only in a notice. Names in policy files that it reads as identifiers are',
  'the names under `match`, which the expression uses, the parts of securable names, which statements use, and the role of',
  '`assume`. Principals become roles of a fixed length with a hash; groups, tags, attributes and policies are data; shadow',
  'schemas of long schema names are shortened with a hash. None of these is ever cut.',
  '',
  '## `writ policy fmt`',
  '',
  '`writ policy fmt` writes the files in one layout, without an instance; `--check` only lists the files that would change',
  'and exits 1 if there are any. A file that is no YAML is named and left alone (exit 1), the others are formatted. Each file',
  'is replaced as a whole, and only after the new text was read back and found to say the same, comments included.',
  '',
  '- Two spaces of indentation, also for lists below a key; `- ` and the first key of an entry on one line.',
  '- Keys of known maps in the order of `writ policy schema`; names of your choosing (groups, tags, tables) stay in order.',
  '- Inside `{ }` and `[ ]`: `{ a: b, c: [d, e] }`. A wider gap after `:` or `,` stays where it lines up with the line above or',
  '  below.',
  '- `---` between documents, none before the first; no trailing blanks, at most one blank line together, one newline at the end.',
  '- Kept as they are: comments and the blanks before a trailing one, quotes, block and flow style, where lines break.',
  '',
];
