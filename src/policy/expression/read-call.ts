import type { FuncCall, Node } from 'libpg-query';
import type { Expression, TextFunction } from './model.ts';
import { partsOf } from './parts.ts';
import { coerce, issue, type Part, plainName, type Reading, readNode } from './read.ts';
import { refusedFunctions } from './refusals.ts';

const maximumCount = 1_000_000;

/** Reads one of the few functions of the language; every other is refused by name with the reason. */
export function readCall(call: FuncCall, reading: Reading, at: number): Part | undefined {
  const name = plainName(call.funcname);
  const refuse = (why: string) =>
    issue(reading, 'expression-refused', at, `${name ?? 'a qualified function'}() is refused: ${why}`);
  if (name === undefined) return refuse('only functions of the language may be called');
  const modified =
    call.agg_distinct ||
    call.agg_star ||
    call.agg_order ||
    call.agg_filter ||
    call.over ||
    call.func_variadic;
  if (modified) return refuse('neither aggregates nor windows');
  const parameters = call.args ?? [];
  if (Object.hasOwn(signatures, name)) {
    const signature = signatures[name as TextFunction];
    return readTextCall(name as TextFunction, signature, parameters, reading, at);
  }
  if (name === 'principal')
    return parameters.length === 0 ? { kind: 'principal', type: 'text' } : refuse('it takes no argument');
  if (name === 'is_member' || name === 'attribute') return readIdentity(name, parameters, reading, at);
  if (name === 'token') return readToken(parameters, reading, at);
  return refuse(refusedFunctions[name] ?? 'it is not in the language of policies');
}

function readIdentity(
  name: 'is_member' | 'attribute',
  parameters: readonly Node[],
  reading: Reading,
  at: number,
): Expression | undefined {
  const [only] = parameters;
  const part = only === undefined || parameters.length !== 1 ? undefined : readNode(only, reading, at);
  if (part?.kind !== 'untyped' || part.text === null || part.text === '')
    return issue(reading, 'expression-type', at, `${name}() takes one text literal`);
  if (name === 'attribute') return { kind: 'attribute', name: part.text, type: 'text[]' };
  reading.groups.push({ name: part.text, at });
  return { kind: 'is-member', group: part.text, type: 'boolean' };
}

/**
 * Of the masked column alone: who sees it masked cannot write it. Of another column it would hash whatever somebody
 * writes there, and so tell which token stands for a guess.
 */
function readToken(parameters: readonly Node[], reading: Reading, at: number): Expression | undefined {
  const [only] = parameters;
  if (reading.place === 'filter')
    return issue(reading, 'expression-refused', at, 'token() is refused in a row filter: it is for masks');
  if (only === undefined || parameters.length !== 1)
    return issue(reading, 'expression-type', at, 'token() takes one argument');
  const part = readNode(only, reading, at);
  const operand = part === undefined ? undefined : coerce(part, 'text', reading, at, 'token()');
  if (operand === undefined) return undefined;
  const others = [...partsOf(operand)].some((one) => one.kind === 'column' && one.name !== 'value');
  if (!others || !reading.columns.has('value')) return { kind: 'token', operand, type: 'text' };
  const why = 'who can write another column could have guesses hashed';
  return issue(reading, 'expression-refused', at, `token() takes nothing but "value": ${why}`);
}

/** What each argument after the text must be: a literal count from a minimum on, or a literal text. */
type Argument = { readonly from: number } | 'text';

const signatures: Record<TextFunction, { readonly least: number; readonly rest: readonly Argument[] }> = {
  left: { least: 2, rest: [{ from: 0 }] },
  right: { least: 2, rest: [{ from: 0 }] },
  substring: { least: 2, rest: [{ from: 1 }, { from: 0 }] },
  split_part: { least: 3, rest: ['text', { from: 1 }] },
  length: { least: 1, rest: [] },
};

function readTextCall(
  name: TextFunction,
  signature: (typeof signatures)[TextFunction],
  parameters: readonly Node[],
  reading: Reading,
  at: number,
): Expression | undefined {
  if (parameters.length < signature.least || parameters.length > signature.rest.length + 1)
    return issue(reading, 'expression-type', at, `${name}() takes ${arity(signature)} arguments`);
  const parts = parameters.map((parameter) => readNode(parameter, reading, at));
  const [first, ...rest] = parts;
  if (first === undefined || rest.some((part) => part === undefined)) return undefined;
  const text = coerce(first, 'text', reading, at, `${name}()`);
  const others = rest.map((part, i) => readArgument(name, part, signature.rest[i], reading, at));
  const typed = others.filter((part) => part !== undefined);
  if (text === undefined || typed.length !== others.length) return undefined;
  const type = name === 'length' ? 'integer' : 'text';
  return { kind: 'call', function: name, arguments: [text, ...typed], type };
}

function arity(signature: (typeof signatures)[TextFunction]): string {
  const most = signature.rest.length + 1;
  return signature.least === most ? `${most}` : `${signature.least} or ${most}`;
}

function readArgument(
  name: TextFunction,
  part: Part | undefined,
  wanted: Argument | undefined,
  reading: Reading,
  at: number,
): Expression | undefined {
  if (part === undefined || wanted === undefined) return undefined;
  if (wanted === 'text') {
    if (part.kind === 'untyped' && part.text !== null && part.text !== '')
      return { kind: 'literal', value: part.text, type: 'text' };
    return issue(reading, 'expression-type', at, `${name}() takes a literal separator that is not empty`);
  }
  const value = part.kind === 'literal' && typeof part.value === 'number' ? part.value : undefined;
  if (value !== undefined && value >= wanted.from && value <= maximumCount)
    return { kind: 'literal', value, type: 'integer' };
  const span = `a literal number from ${wanted.from} to ${maximumCount}`;
  return issue(reading, 'expression-type', at, `${name}() takes ${span}: engines differ on others`);
}
