import { Lexer } from './sql-lexer.ts';

// The parser recurses over what it parsed. A trap inside it (stack exhausted) leaves its memory damaged for good, so a
// text that could nest too deeply must never reach it. This bounds the depth from above by the tokens alone.

export interface StatementLimits {
  /** UTF-8 bytes of one text. */
  readonly bytes: number;
  /** Tokens of one text. */
  readonly tokens: number;
  /** Upper bound of the depth of its parse tree. */
  readonly depth: number;
}

/** 1 MiB; at 3,000 parser and walkers stay far from the end of the stack. */
export const statementLimits: StatementLimits = { bytes: 1_048_576, tokens: 250_000, depth: 3_000 };

interface Nesting {
  /** `(` or `[`, or `case` … `end`. */
  readonly opener: 'bracket' | 'case';
  /** Tokens since the last separator: each may add a level to a chain such as a + b + c. */
  chain: number;
  /** Set operations and joins: chains that go on past commas and ANDs. */
  links: number;
}

/**
 * Which limit the text exceeds, or undefined. Over-estimates, never under-estimates: commas, AND and OR separate
 * siblings (the grammar flattens AND and OR), brackets and CASE nest, everything else may chain.
 * @param text one character per UTF-8 byte
 */
export function exceededLimit(
  text: string,
  limits: StatementLimits = statementLimits,
): keyof StatementLimits | undefined {
  if (text.length > limits.bytes) return 'bytes';
  const lexer = new Lexer(text);
  let open: Nesting[] = [{ opener: 'bracket', chain: 0, links: 0 }];
  let below = 0;
  for (let tokens = 1; lexer.next(); tokens++) {
    if (tokens > limits.tokens) return 'tokens';
    const top = open.at(-1);
    if (top === undefined || lexer.kind === 'constant' || lexer.kind === 'parameter') continue;
    switch (meaning(lexer)) {
      case 'separator':
        top.chain = 0;
        break;
      case 'link':
        top.links++;
        break;
      case 'end-of-statement':
        open = [{ opener: 'bracket', chain: 0, links: 0 }];
        below = 0;
        break;
      case 'open-bracket':
      case 'open-case': {
        top.chain += 2;
        below += top.chain + top.links;
        open.push({ opener: lexer.kind === 'word' ? 'case' : 'bracket', chain: 0, links: 0 });
        break;
      }
      case 'close-bracket':
      case 'close-case':
        below = close(open, below, lexer.kind === 'word' ? 'case' : 'bracket');
        break;
      default:
        top.chain++;
    }
    const last = open.at(-1);
    if (below + (last?.chain ?? 0) + (last?.links ?? 0) > limits.depth) return 'depth';
  }
  return undefined;
}

type Meaning =
  | 'separator'
  | 'link'
  | 'end-of-statement'
  | 'open-bracket'
  | 'close-bracket'
  | 'open-case'
  | 'close-case'
  | 'other';

const words: ReadonlyMap<string, Meaning> = new Map([
  ['and', 'separator'],
  ['or', 'separator'],
  ['union', 'link'],
  ['intersect', 'link'],
  ['except', 'link'],
  ['join', 'link'],
  ['case', 'open-case'],
  ['end', 'close-case'],
]);

const symbols: ReadonlyMap<string, Meaning> = new Map([
  [',', 'separator'],
  [';', 'end-of-statement'],
  ['(', 'open-bracket'],
  ['[', 'open-bracket'],
  [')', 'close-bracket'],
  [']', 'close-bracket'],
]);

function meaning(lexer: Lexer): Meaning {
  if (lexer.kind === 'symbol') return symbols.get(lexer.token) ?? 'other';
  if (lexer.kind !== 'word' || lexer.end - lexer.start > 9) return 'other';
  return words.get(lexer.token.toLowerCase()) ?? 'other';
}

/** Takes the innermost nesting of that kind away, with what was left open inside it. @returns the depth below the new top */
function close(open: Nesting[], below: number, opener: Nesting['opener']): number {
  if (opener === 'case' && open.at(-1)?.opener !== 'case') return below;
  let left = below;
  while (open.length > 1) {
    const gone = open.pop();
    const top = open.at(-1);
    if (top !== undefined) left -= top.chain + top.links;
    if (gone?.opener === opener) break;
  }
  return left;
}
