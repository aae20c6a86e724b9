import { WritError } from '../../kernel/errors.ts';
import { exceededLimit, statementLimits } from '../../kernel/sql-complexity.ts';
import type { GovernedPart, GovernedQuery, StatementContext } from './governed.ts';
import { examineStatement } from './statement/kinds.ts';
import { PartRecord, type TextPlan } from './statement/part.ts';
import { type Problem, refused, toError } from './statement/problem.ts';
import { redactStatement, redactUnparsable } from './statement/redact.ts';
import { rewrite } from './statement/rewrite.ts';
import { type Source, toSource, withoutComments } from './statement/source.ts';
import { parseStatements, type StatementTree } from './statement/tree.ts';
import { createWalk } from './statement/walk.ts';
import { saysTheSame } from './statement/wall.ts';

// One text that a client sent, for a POSTGRES catalog: parsed by Postgres' own parser, every name resolved and decided,
// names written out, and parsed again to see that it says what was decided. Pure; what is decided is what is sent.

export { initStatementParser } from './statement/tree.ts';

/**
 * Decides and rewrites a text of zero or more statements, all or nothing. Call `initStatementParser` once before.
 * Never throws: what cannot be parsed, resolved or decided is a `refusal` (42601, 42501, 42P01, 0A000, 54000, …).
 */
export function governStatement(text: string, context: StatementContext): GovernedQuery {
  const source = toSource(text);
  try {
    return govern(source, context);
  } catch (error) {
    const problem =
      error instanceof RangeError
        ? refused('too_large', 'statement too complex', { sqlstate: '54001' })
        : refused('internal', 'the statement could not be examined');
    return refuseWhole(source, problem);
  }
}

function govern(source: Source, context: StatementContext): GovernedQuery {
  const unfit = unfitText(source);
  if (unfit !== undefined) return refuseWhole(source, unfit);
  const parsed = parse(source);
  if (!parsed.ok) return refuseWhole(source, parsed.problem, parsed.error);
  const plan: TextPlan = { source: parsed.source, edits: [], expected: new Map() };
  const { parts, problem } = examineAll(parsed.statements, context, plan);
  if (problem !== undefined) return refusal(parts, toError(problem, source.client));
  return send(plan, parts, parsed.statements);
}

interface Examined {
  readonly parts: readonly GovernedPart[];
  /** The first one of the first statement at fault. */
  readonly problem: Problem | undefined;
}

function examineAll(
  statements: readonly StatementTree[],
  context: StatementContext,
  plan: TextPlan,
): Examined {
  const parts: GovernedPart[] = [];
  const preparedHere = new Map<string, GovernedPart>();
  let problem: Problem | undefined;
  for (const statement of statements) {
    const record = new PartRecord(context, plan);
    const redacted = redactStatement(plan.source.bytes, statement.start, statement.end);
    const prepared = (name: string) => preparedHere.get(name) ?? context.prepared(name);
    const outcome = examineStatement(createWalk(record), statement.node, { prepared, redacted });
    const part = record.finish(outcome.command, redacted);
    const { effect } = outcome;
    if (effect?.kind === 'prepare') preparedHere.set(effect.name, effect.statement);
    parts.push(effect === undefined ? part : { ...part, effect });
    problem ??= record.problems[0];
  }
  return { parts, problem };
}

/** Puts the names in and checks the result against what was decided, before anybody may send it. */
function send(
  plan: TextPlan,
  parts: readonly GovernedPart[],
  statements: readonly StatementTree[],
): GovernedQuery {
  const { source } = plan;
  if (plan.edits.length === 0 && source.bytes === source.client)
    return { parts, text: source.text, refusal: undefined, mapPosition: (sent) => sent };
  const rewritten = rewrite(source, plan.edits);
  const again = rewritten === undefined ? undefined : parseStatements(rewritten.text, rewritten.length);
  const faithful =
    again?.ok === true &&
    saysTheSame(
      statements.map(({ node }) => ({ [node.kind]: node.body })),
      again.statements.map(({ node }) => ({ [node.kind]: node.body })),
      plan.expected,
    );
  if (rewritten === undefined || !faithful) {
    const problem = refused('refused_on_purpose', 'the statement cannot be rewritten faithfully', {
      detail: 'with its names resolved it would not say what was decided',
      hint: 'Write the names plainly: schema.table, without unusual quoting.',
    });
    const decision = { effect: 'deny', because: problem.reasons } as const;
    return refusal(
      parts.map((part) => ({ ...part, decision })),
      toError(problem, source.client),
    );
  }
  return { parts, text: rewritten.text, refusal: undefined, mapPosition: rewritten.mapPosition };
}

type ParsedOrProblem =
  /** `source` is what was parsed, and what is sent. */
  | { readonly ok: true; readonly statements: readonly StatementTree[]; readonly source: Source }
  | { readonly ok: false; readonly problem: Problem; readonly error: WritError };

function parse(source: Source): ParsedOrProblem {
  if (source.text.trim() === '') return { ok: true, statements: [], source };
  const first = parseStatements(source.text, source.bytes.length);
  if (first.ok) return { ok: true, statements: first.statements, source };
  if (first.position === undefined || first.message.startsWith('memory exhausted')) {
    const problem = refused('too_large', 'statement too complex', { sqlstate: '54001' });
    return { ok: false, problem, error: toError(problem, source.client) };
  }
  const bare = withoutComments(source);
  const second = bare === undefined ? undefined : parseStatements(bare.text, bare.bytes.length);
  if (bare !== undefined && second?.ok === true)
    return { ok: true, statements: second.statements, source: bare };
  // The parser's message quotes the text, so it is for the client alone; the record gets the bare fact.
  const { message, position } = first;
  const problem = refused('syntax_error', 'the statement cannot be parsed');
  return { ok: false, problem, error: new WritError('syntax_error', { message, position }) };
}

/** What must not reach the parser: it reads C strings, and its own stack is short. */
function unfitText(source: Source): Problem | undefined {
  if (source.text.includes('\0')) return refused('protocol_violation', 'a statement cannot hold NUL');
  if (/[\ud800-\udfff]/u.test(source.text))
    return refused('bad_encoding', 'invalid byte sequence for encoding "UTF8"');
  const limit = exceededLimit(source.bytes);
  if (limit === undefined) return undefined;
  if (limit === 'depth') return refused('too_large', 'statement too complex', { sqlstate: '54001' });
  return refused('too_large', 'the statement is too large', {
    detail: `at most ${statementLimits[limit]} ${limit} in one text`,
  });
}

function refusal(parts: readonly GovernedPart[], error: WritError): GovernedQuery {
  return { parts, text: '', refusal: error, mapPosition: () => undefined };
}

/** One denied part stands for a text of which nothing is known. */
function refuseWhole(source: Source, problem: Problem, error?: WritError): GovernedQuery {
  const part: GovernedPart = {
    command: 'UNKNOWN',
    decision: { effect: 'deny', because: problem.reasons },
    tables: [],
    columns: [],
    redacted: redactUnparsable(source.bytes.length),
  };
  return refusal([part], error ?? toError(problem, source.client));
}
