import { hasSqlDetails, loadModule, type Node, type ParseResult, parseSync } from 'libpg-query';
import { exceededLimit } from '../../kernel/sql-complexity.ts';
import type { Expression, ExpressionType } from './model.ts';
import { coerce, type ExpressionRule, type Reading, readNode, tooDeep } from './read.ts';
import { type BoundColumn, type BoundColumns, fitsColumn } from './types.ts';

// Expression text → typed expression. The parser is Postgres's own; what it accepts and the language does not is refused.

export type { ExpressionRule } from './read.ts';
export type { BoundColumn, BoundColumns, Digits } from './types.ts';

/** What is wrong with an expression, at an offset (UTF-16) of its text. */
export interface ExpressionProblem {
  readonly rule: ExpressionRule;
  readonly message: string;
  readonly offset: number;
}

export interface ParsedExpression {
  /** Undefined exactly when there is a problem. */
  readonly expression: Expression | undefined;
  readonly problems: readonly ExpressionProblem[];
  /** Groups that `is_member` names, with their offsets. */
  readonly groups: readonly { readonly name: string; readonly offset: number }[];
}

const maximumLength = 8192;
const prefix = 'select ';
const tooWide = 'the mask can have values that its column cannot hold';

/** Loads Postgres's parser; once before `parseExpression`. */
export async function initParser(): Promise<void> {
  await loadModule();
}

/**
 * Parses and types an expression over the bound columns. `wanted` is the type it must have: boolean for a row filter,
 * the column's for a mask; `masked` is that column. Pure once the parser is loaded.
 */
export function parseExpression(
  text: string,
  columns: BoundColumns,
  wanted: ExpressionType,
  masked?: BoundColumn,
): ParsedExpression {
  const failed = (rule: ExpressionRule, message: string, offset: number): ParsedExpression => ({
    expression: undefined,
    problems: [{ rule, message, offset }],
    groups: [],
  });
  const unfit = unfitText(text);
  if (unfit !== undefined) return failed(unfit.rule, unfit.message, unfit.offset);
  const parsed = parse(text);
  if ('message' in parsed) return failed('expression-syntax', parsed.message, parsed.offset);
  const place = masked === undefined && wanted === 'boolean' ? 'filter' : 'mask';
  const reading: Reading = { columns, issues: [], groups: [], place, depth: 0 };
  const part = readNode(parsed.node, reading, prefix.length);
  const expression = part === undefined ? undefined : wantType(part, wanted, reading);
  if (expression !== undefined && masked !== undefined && !fitsColumn(expression, masked, columns))
    reading.issues.push({ rule: 'expression-type', message: tooWide, at: prefix.length });
  const offsetOf = offsets(text);
  return {
    expression: reading.issues.length > 0 ? undefined : expression,
    problems: reading.issues.map(({ rule, message, at }) => ({ rule, message, offset: offsetOf(at) })),
    groups: reading.groups.map(({ name, at }) => ({ name, offset: offsetOf(at) })),
  };
}

function wantType(
  part: NonNullable<ReturnType<typeof readNode>>,
  wanted: ExpressionType,
  reading: Reading,
): Expression | undefined {
  const what = wanted === 'boolean' ? 'this place' : 'the masked column';
  return coerce(part, wanted, reading, prefix.length, what);
}

/** What must not reach the parser. Its memory is damaged for good when its stack runs out: depth is bounded before it. */
function unfitText(text: string): ExpressionProblem | undefined {
  if (exceededLimit(Buffer.from(text).toString('latin1')) === 'depth')
    return { rule: 'expression-too-deep', message: tooDeep, offset: 0 };
  if (text.length > maximumLength) {
    const message = `an expression has at most ${maximumLength} characters`;
    return { rule: 'expression-too-long', message, offset: maximumLength };
  }
  const nul = text.indexOf('\0');
  if (nul >= 0) return { rule: 'expression-syntax', message: 'an expression cannot hold NUL', offset: nul };
  const surrogate = text.search(/[\ud800-\udfff]/u);
  if (surrogate < 0) return undefined;
  return {
    rule: 'expression-syntax',
    message: 'an expression must be well-formed Unicode',
    offset: surrogate,
  };
}

type Failure = { readonly message: string; readonly offset: number };

function parse(text: string): { readonly node: Node } | Failure {
  try {
    const node = onlyTarget(parseSync(`${prefix}${text}\n`));
    return node === undefined ? { message: 'expected one expression and nothing else', offset: 0 } : { node };
  } catch (thrown) {
    const position = hasSqlDetails(thrown) ? (thrown.sqlDetails?.cursorPosition ?? 0) : 0;
    const message = thrown instanceof Error ? thrown.message : 'the expression cannot be parsed';
    const characters = Math.max(0, position - prefix.length);
    return { message, offset: [...text].slice(0, characters).join('').length };
  }
}

/** The expression of a bare `SELECT expression`; anything beside it (FROM, an alias, a second statement) is refused. */
function onlyTarget(result: ParseResult): Node | undefined {
  const [statement, ...others] = result.stmts ?? [];
  const node = statement?.stmt;
  if (others.length > 0 || node === undefined || !('SelectStmt' in node)) return undefined;
  const { targetList = [], limitOption, op, ...rest } = node.SelectStmt;
  const plain =
    limitOption === 'LIMIT_OPTION_DEFAULT' && op === 'SETOP_NONE' && Object.keys(rest).length === 0;
  const [target, ...more] = targetList;
  if (!plain || more.length > 0 || target === undefined || !('ResTarget' in target)) return undefined;
  return target.ResTarget.name === undefined ? target.ResTarget.val : undefined;
}

/** Byte offsets in the parsed text → UTF-16 offsets in the expression. */
function offsets(text: string): (at: number) => number {
  const bytes = Buffer.from(text);
  return (at) => bytes.subarray(0, Math.max(0, at - prefix.length)).toString().length;
}
