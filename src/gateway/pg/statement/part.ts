import type { TableInfo } from '../../../catalog/model.ts';
import type { Decision, Reason } from '../../../kernel/decision.ts';
import { formatReason } from '../../../kernel/decision.ts';
import { child, type SecurableName } from '../../../kernel/securable-name.ts';
import { identifier, join, qualified, sql } from '../../../kernel/sql.ts';
import { nameEnd } from '../../../kernel/sql-lexer.ts';
import type { GovernedPart, Need, StatementContext } from '../governed.ts';
import type { Problem } from './problem.ts';
import { refused } from './problem.ts';
import type { Edit } from './rewrite.ts';
import { type Source, toBytes } from './source.ts';
import type { TreeObject } from './tree.ts';

/** What the whole text is to become. */
export interface TextPlan {
  readonly source: Source;
  readonly edits: Edit[];
  /** Nodes of the first parse → fields that they must have in the text that is sent. */
  readonly expected: Map<TreeObject, TreeObject>;
}

/** What is found out about one statement while it is walked. */
export class PartRecord {
  readonly context: StatementContext;
  readonly plan: TextPlan;
  readonly problems: Problem[] = [];
  readonly needs = new Map<string, Need>();
  private readonly tables = new Set<SecurableName>();
  private readonly columns = new Set<SecurableName>();
  private readonly reasons = new Map<string, Reason>();

  constructor(context: StatementContext, plan: TextPlan) {
    this.context = context;
    this.plan = plan;
  }

  table(name: SecurableName): void {
    this.tables.add(name);
  }

  column(table: SecurableName, column: string): void {
    this.columns.add(child(table, column));
  }

  allColumns(info: TableInfo): void {
    for (const column of info.columns) this.column(info.name, column.name);
  }

  because(reasons: readonly Reason[]): void {
    for (const reason of reasons) this.reasons.set(formatReason(reason), reason);
  }

  refuse(problem: Problem): void {
    this.problems.push(problem);
  }

  need(need: Need): void {
    this.needs.set(`${need.privilege} ${need.table} ${need.target}`, need);
  }

  /** Takes over what a prepared statement was found to read. */
  adopt(part: GovernedPart): void {
    for (const table of part.tables) this.tables.add(table);
    for (const column of part.columns) this.columns.add(column);
    for (const need of part.needs ?? []) this.need(need);
  }

  /** Plans that the name of `parts` parts at `at` is sent as `schema.name`, and that the node then has those fields. */
  writeName(
    node: TreeObject,
    at: number | undefined,
    parts: number,
    name: readonly [string, string],
    fields: TreeObject,
  ): void {
    const end = at === undefined ? undefined : nameEnd(this.plan.source.bytes, at, parts);
    if (at === undefined || end === undefined) {
      this.refuse(
        refused('refused_on_purpose', `the name ${name[1]} cannot be resolved where it stands`, { at }),
      );
      return;
    }
    this.plan.edits.push({ start: at, end, replacement: toBytes(qualified(...name).text) });
    this.plan.expected.set(node, fields);
  }

  decision(): Decision {
    const [first] = this.problems;
    if (first === undefined) return { effect: 'allow', because: [...this.reasons.values()] };
    const because = new Map<string, Reason>();
    for (const problem of this.problems)
      for (const reason of problem.reasons) because.set(formatReason(reason), reason);
    return { effect: 'deny', because: [...because.values()] };
  }

  /** The part as the session and the record see it. */
  finish(command: string, redacted: string): GovernedPart {
    return {
      command,
      decision: this.decision(),
      tables: [...this.tables],
      columns: [...this.columns],
      redacted,
      needs: [...this.needs.values()],
    };
  }
}

/** `(SELECT "a", "b" FROM "schema"."name")`, as `COPY` reads a view. */
export function columnsQuery(columns: readonly string[], from: readonly [string, string]): string {
  return sql`(SELECT ${join(columns.map(identifier))} FROM ${qualified(...from)})`.text;
}
