import type { A_Const, A_Expr, CaseExpr, FuncCall, Node, TypeCast } from 'libpg-query';
import { readNumber, readTextLiteral } from './literals.ts';
import { matrixRow } from './matrix.ts';
import type { ArithmeticOperator, ComparisonOperator, Expression, ExpressionType } from './model.ts';
import { readCall } from './read-call.ts';
import { refusedForms, refusedNodes, refusedOperators } from './refusals.ts';
import { arithmeticType, type BoundColumns, commonType, digitsFit, widen } from './types.ts';

// Postgres' parse tree → typed expression. Allow-list: what no branch here takes is refused.

export type ExpressionRule =
  | 'expression-syntax'
  | 'expression-too-deep'
  | 'expression-too-long'
  | 'expression-refused'
  | 'expression-unbound'
  | 'expression-type';

export interface ExpressionIssue {
  readonly rule: ExpressionRule;
  readonly message: string;
  /** Byte offset in the parsed text; the caller turns it into a place. */
  readonly at: number;
}

/** A string or NULL that has no type yet: it takes the one that its place demands. */
export interface Untyped {
  readonly kind: 'untyped';
  readonly text: string | null;
}

export type Part = Expression | Untyped;

export interface Reading {
  readonly columns: BoundColumns;
  readonly issues: ExpressionIssue[];
  /** Groups that `is_member` asks for. */
  readonly groups: { readonly name: string; readonly at: number }[];
  /** Where it stands: token() is for masks. */
  readonly place: 'mask' | 'filter';
  depth: number;
}

const maximumDepth = 200;
export const tooDeep = 'an expression is nested too deeply';

export function issue(reading: Reading, rule: ExpressionRule, at: number, message: string): undefined {
  reading.issues.push({ rule, message, at });
  return undefined;
}

/** @returns undefined after noting at least one issue. */
export function readNode(node: Node, reading: Reading, near: number): Part | undefined {
  if (reading.depth >= maximumDepth) return issue(reading, 'expression-too-deep', near, tooDeep);
  reading.depth++;
  const part = readKind(node, reading, near);
  reading.depth--;
  return part;
}

function readKind(node: Node, reading: Reading, near: number): Part | undefined {
  if ('ColumnRef' in node) return readColumn(node.ColumnRef, reading, near);
  if ('A_Const' in node) return readConstant(node.A_Const, reading, near);
  if ('A_Expr' in node) return readOperator(node.A_Expr, reading, node.A_Expr.location ?? near);
  if ('BoolExpr' in node) return readBoolean(node.BoolExpr, reading, node.BoolExpr.location ?? near);
  if ('NullTest' in node) return readNullTest(node.NullTest, reading, near);
  if ('CaseExpr' in node) return readCase(node.CaseExpr, reading, node.CaseExpr.location ?? near);
  if ('CoalesceExpr' in node) {
    const at = node.CoalesceExpr.location ?? near;
    const operands = unify(readAll(node.CoalesceExpr.args ?? [], reading, at), reading, at, 'coalesce');
    const [first] = operands ?? [];
    return operands === undefined || first === undefined
      ? undefined
      : { kind: 'coalesce', operands, type: first.type };
  }
  if ('TypeCast' in node) return readCast(node.TypeCast, reading, locationOf(node) ?? near);
  if ('FuncCall' in node) return readCall(node.FuncCall as FuncCall, reading, node.FuncCall.location ?? near);
  const kind = Object.keys(node)[0] ?? 'nothing';
  const why = refusedNodes[kind] ?? 'it is not in the language of policies';
  return issue(reading, 'expression-refused', locationOf(node) ?? near, `${kind} is refused: ${why}`);
}

/** Byte offset of a node; its first located part where it has none itself (`date '…'`). */
export function locationOf(node: Node): number | undefined {
  const inner = Object.values(node)[0] as { location?: number; arg?: Node; typeName?: { location?: number } };
  if (inner.location !== undefined && inner.location >= 0) return inner.location;
  return inner.typeName?.location ?? (inner.arg === undefined ? undefined : locationOf(inner.arg));
}

function readColumn(
  ref: { fields?: Node[]; location?: number },
  reading: Reading,
  near: number,
): Part | undefined {
  const at = ref.location ?? near;
  const names = (ref.fields ?? []).map((field) => ('String' in field ? (field.String.sval ?? '') : '*'));
  const name = names.join('.');
  const [only = ''] = names;
  const column = names.length === 1 ? reading.columns.get(only) : undefined;
  if (column !== undefined) return { kind: 'column', name: only, type: column.type };
  const bound = [...reading.columns.keys()].join(', ');
  const known = bound === '' ? '"match" binds no name' : `bound: ${bound}`;
  return issue(
    reading,
    'expression-unbound',
    at,
    `${JSON.stringify(name)} is bound by no "match" (${known})`,
  );
}

function readConstant(constant: A_Const, reading: Reading, near: number): Part | undefined {
  const at = constant.location ?? near;
  if (constant.isnull) return { kind: 'untyped', text: null };
  if (constant.sval !== undefined) return { kind: 'untyped', text: constant.sval.sval ?? '' };
  if (constant.boolval !== undefined)
    return { kind: 'literal', value: constant.boolval.boolval ?? false, type: 'boolean' };
  if (constant.ival !== undefined)
    return { kind: 'literal', value: constant.ival.ival ?? 0, type: 'integer' };
  const number = constant.fval?.fval === undefined ? undefined : readNumber(constant.fval.fval);
  if (number !== undefined) return { kind: 'literal', ...number };
  return issue(reading, 'expression-refused', at, 'a number has at most 38 digits and no exponent');
}

function readOperator(node: A_Expr, reading: Reading, at: number): Part | undefined {
  const operator = plainName(node.name);
  if (node.kind === 'AEXPR_OP_ANY') return readAny(node, operator, reading, at);
  if (node.kind === 'AEXPR_IN') return readIn(node, operator, reading, at);
  if (node.kind !== 'AEXPR_OP') {
    const why = refusedForms[node.kind ?? ''] ?? 'it is not in the language of policies';
    return issue(reading, 'expression-refused', at, `${operator ?? node.kind} is refused: ${why}`);
  }
  if (node.lexpr === undefined && operator === '-' && node.rexpr !== undefined)
    return readNegative(node.rexpr, reading, at);
  if (
    operator === undefined ||
    node.lexpr === undefined ||
    node.rexpr === undefined ||
    !isOperator(operator)
  ) {
    const why = refusedOperators[operator ?? ''] ?? 'it is not in the language of policies';
    return issue(reading, 'expression-refused', at, `operator ${operator ?? '?'} is refused: ${why}`);
  }
  const left = readNode(node.lexpr, reading, at);
  const right = readNode(node.rexpr, reading, at);
  if (left === undefined || right === undefined) return undefined;
  if (operator === '||') return readConcat(left, right, reading, at);
  if (isArithmetic(operator)) return readArithmetic(operator, left, right, reading, at);
  return compare(operator, left, right, reading, at);
}

const comparisonOperators: readonly string[] = ['=', '<>', '<', '<=', '>', '>='];
const isArithmetic = (operator: string): operator is ArithmeticOperator => ['+', '-', '*'].includes(operator);
const isOperator = (operator: string): operator is ComparisonOperator | ArithmeticOperator | '||' =>
  operator === '||' || isArithmetic(operator) || comparisonOperators.includes(operator);

/** The last part of a name that is unqualified or stands in pg_catalog. */
export function plainName(parts: Node[] | undefined): string | undefined {
  const names = (parts ?? []).map((part) => ('String' in part ? part.String.sval : undefined));
  if (names.length === 2 && names[0] !== 'pg_catalog') return undefined;
  return names.length > 2 ? undefined : names.at(-1);
}

/** A negated literal is a literal: `-(5)`. Anything else is written `0 - x`, which is widened. */
function readNegative(node: Node, reading: Reading, at: number): Part | undefined {
  const part = readNode(node, reading, at);
  if (part === undefined) return undefined;
  if (part.kind !== 'literal' || typeof part.value === 'boolean' || part.value === null)
    return issue(reading, 'expression-refused', at, 'a sign before an expression is refused: write 0 - x');
  const text = String(part.value);
  const number = readNumber(text.startsWith('-') ? text.slice(1) : `-${text}`);
  return number === undefined ? undefined : { kind: 'literal', ...number };
}

export function compare(
  operator: ComparisonOperator,
  left: Part,
  right: Part,
  reading: Reading,
  at: number,
): Expression | undefined {
  const [a, b] = unify([left, right], reading, at, operator) ?? [];
  if (a === undefined || b === undefined) return undefined;
  if (matrixRow(operator, [a.type, b.type]) !== undefined)
    return { kind: 'compare', operator, left: a, right: b, type: 'boolean' };
  const why = a.type === 'text' ? ': the order of text follows the collation' : '';
  return issue(reading, 'expression-type', at, `${operator} does not take ${a.type}${why}`);
}

function readConcat(left: Part, right: Part, reading: Reading, at: number): Expression | undefined {
  const a = coerce(left, 'text', reading, at, '||');
  const b = coerce(right, 'text', reading, at, '||');
  return a === undefined || b === undefined ? undefined : { kind: 'concat', left: a, right: b, type: 'text' };
}

function readArithmetic(
  operator: ArithmeticOperator,
  left: Part,
  right: Part,
  reading: Reading,
  at: number,
): Expression | undefined {
  if (left.kind === 'untyped' || right.kind === 'untyped')
    return issue(reading, 'expression-type', at, `${operator} takes integer and bigint only`);
  const type = arithmeticType(operator, left, right);
  const a = type === undefined ? undefined : widen(left, type);
  const b = type === undefined ? undefined : widen(right, type);
  if (type !== undefined && a !== undefined && b !== undefined)
    return { kind: 'arithmetic', operator, left: a, right: b, type };
  const types = `${left.type} and ${right.type}`;
  return issue(reading, 'expression-type', at, `${operator} takes integer and bigint only, not ${types}`);
}

function readAny(node: A_Expr, operator: string | undefined, reading: Reading, at: number): Part | undefined {
  const left = node.lexpr === undefined ? undefined : readNode(node.lexpr, reading, at);
  const array = node.rexpr === undefined ? undefined : readNode(node.rexpr, reading, at);
  if (left === undefined || array === undefined) return undefined;
  if (operator !== '=' || array.kind !== 'attribute')
    return issue(reading, 'expression-refused', at, "any() is written x = any(attribute('name'))");
  const operand = coerce(left, 'text', reading, at, 'any()');
  return operand === undefined ? undefined : { kind: 'any', operand, array, type: 'boolean' };
}

function readIn(node: A_Expr, operator: string | undefined, reading: Reading, at: number): Part | undefined {
  const listed = node.rexpr !== undefined && 'List' in node.rexpr ? (node.rexpr.List.items ?? []) : [];
  if (node.lexpr === undefined || listed.length === 0)
    return issue(reading, 'expression-refused', at, 'in takes a list of values');
  const parts = unify(readAll([node.lexpr, ...listed], reading, at), reading, at, 'in');
  const [operand, ...list] = parts ?? [];
  if (operand === undefined) return undefined;
  if (matrixRow('=', [operand.type, operand.type]) === undefined)
    return issue(reading, 'expression-type', at, `in does not take ${operand.type}`);
  return { kind: 'in', operand, list, negated: operator === '<>', type: 'boolean' };
}

function readBoolean(
  node: { boolop?: string; args?: Node[] },
  reading: Reading,
  at: number,
): Part | undefined {
  const parts = readAll(node.args ?? [], reading, at)?.map((part) =>
    coerce(part, 'boolean', reading, at, 'a condition'),
  );
  const operands = parts?.filter((part) => part !== undefined) ?? [];
  const [first] = operands;
  if (first === undefined || operands.length !== parts?.length) return undefined;
  if (node.boolop === 'NOT_EXPR') return { kind: 'not', operand: first, type: 'boolean' };
  return { kind: node.boolop === 'AND_EXPR' ? 'and' : 'or', operands, type: 'boolean' };
}

function readNullTest(
  node: { arg?: Node; nulltesttype?: string; location?: number },
  reading: Reading,
  near: number,
): Part | undefined {
  const at = node.location ?? near;
  const part = node.arg === undefined ? undefined : readNode(node.arg, reading, at);
  if (part === undefined) return undefined;
  const operand = part.kind === 'untyped' ? coerce(part, 'text', reading, at, 'is null') : part;
  if (operand === undefined) return undefined;
  if (operand.type === 'text[]')
    return issue(reading, 'expression-type', at, 'an attribute is never NULL: a missing one is empty');
  return { kind: 'is-null', operand, negated: node.nulltesttype === 'IS_NOT_NULL', type: 'boolean' };
}

/** `case x when 1 …` becomes `case when x = 1 …`: the language has one form. */
function readCase(node: CaseExpr, reading: Reading, at: number): Part | undefined {
  const subject = node.arg === undefined ? undefined : readNode(node.arg, reading, at);
  if (node.arg !== undefined && subject === undefined) return undefined;
  const conditions: (Expression | undefined)[] = [];
  const results: (Part | undefined)[] = [];
  for (const branch of node.args ?? []) {
    if (!('CaseWhen' in branch)) continue;
    const { expr, result, location = at } = branch.CaseWhen;
    const when = expr === undefined ? undefined : readNode(expr, reading, location);
    if (when !== undefined)
      conditions.push(
        subject === undefined
          ? coerce(when, 'boolean', reading, location, 'when')
          : compare('=', subject, when, reading, location),
      );
    results.push(result === undefined ? undefined : readNode(result, reading, location));
  }
  const otherwise: Part | undefined =
    node.defresult === undefined ? { kind: 'untyped', text: null } : readNode(node.defresult, reading, at);
  const parts = [...results, otherwise].filter((part) => part !== undefined);
  const whens = conditions.filter((when) => when !== undefined);
  if (parts.length !== results.length + 1 || whens.length !== results.length) return undefined;
  const typed = unify(parts, reading, at, 'case');
  const last = typed?.at(-1);
  if (typed === undefined || last === undefined) return undefined;
  // biome-ignore lint/suspicious/noThenProperty: SQL's word; nobody awaits a branch
  const branches = whens.map((when, i) => ({ when, then: typed[i] ?? last }));
  return { kind: 'case', branches, otherwise: last, type: last.type };
}

const castTypes: Readonly<Record<string, ExpressionType>> = {
  text: 'text',
  int4: 'integer',
  int8: 'bigint',
  numeric: 'numeric',
  bool: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
};

function readCast(node: TypeCast, reading: Reading, at: number): Part | undefined {
  const name = plainName(node.typeName?.names) ?? '';
  const type = Object.hasOwn(castTypes, name) ? castTypes[name] : undefined;
  const bare = node.typeName?.arrayBounds === undefined && node.typeName?.typmods === undefined;
  if (type === undefined || !bare)
    return issue(
      reading,
      'expression-refused',
      at,
      `a cast to ${name === '' ? 'this type' : name} is refused`,
    );
  const part = node.arg === undefined ? undefined : readNode(node.arg, reading, at);
  if (part === undefined) return undefined;
  if (part.kind === 'untyped') return coerce(part, type, reading, at, '::');
  const widened = widen(part, type);
  if (widened !== undefined) return widened;
  const why = `a cast from ${part.type} to ${type} is refused: it can fail, lose digits or read a setting`;
  return issue(reading, 'expression-refused', at, why);
}

function readAll(nodes: readonly Node[], reading: Reading, at: number): readonly Part[] | undefined {
  const parts = nodes.map((node) => readNode(node, reading, at));
  const read = parts.filter((part) => part !== undefined);
  return read.length === parts.length ? read : undefined;
}

/** Brings a part to a type: literals are read as that type, numbers widened. */
export function coerce(
  part: Part,
  type: ExpressionType,
  reading: Reading,
  at: number,
  where: string,
): Expression | undefined {
  if (part.kind === 'untyped') {
    if (part.text === null) return { kind: 'literal', value: null, type };
    const value = readTextLiteral(part.text, type);
    if (value !== undefined) return { kind: 'literal', value, type };
    const zone = type === 'timestamptz' ? ' with its zone (2026-01-31 12:00:00Z)' : '';
    return issue(reading, 'expression-type', at, `${JSON.stringify(part.text)} is no ${type}${zone}`);
  }
  const widened = type === 'text' || type === 'boolean' ? undefined : widen(part, type);
  if (part.type === type) return part;
  if (widened !== undefined) return widened;
  return issue(reading, 'expression-type', at, `${where} takes ${type}, not ${part.type}`);
}

/** Brings parts to one type. */
function unify(
  parts: readonly Part[] | undefined,
  reading: Reading,
  at: number,
  where: string,
): readonly Expression[] | undefined {
  if (parts === undefined) return undefined;
  const types = parts.flatMap((part) => (part.kind === 'untyped' ? [] : [part.type]));
  const type = types.length === 0 ? 'text' : commonType(types);
  if (type === undefined || type === 'text[]') {
    const list = [...new Set(types)].join(' and ');
    return issue(reading, 'expression-type', at, `${where} takes one type, not ${list}`);
  }
  const typed = parts
    .map((part) => coerce(part, type, reading, at, where))
    .filter((part) => part !== undefined);
  if (typed.length !== parts.length) return undefined;
  if (type === 'numeric' && !digitsFit(typed, reading.columns))
    return issue(reading, 'expression-type', at, `${where} needs more than 38 digits on these numerics`);
  return typed;
}
