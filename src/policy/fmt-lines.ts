// Formatted lines as pieces with gaps between them, before they become text: which wider gaps stay is decided by what
// they line up with.

/** A token and the blanks before it. `wide`: more than one blank may stand here, if it lines up. */
interface Piece {
  readonly gap: number;
  readonly text: string;
  readonly wide: boolean;
}

const separator = '---';

/** The text of a file underway. */
export class Lines {
  readonly #done: (readonly Piece[] | string)[] = [];
  #line: Piece[] = [];

  /** Whether something stands on the line already. */
  get begun(): boolean {
    return this.#line.length > 0;
  }

  put(text: string, gap: number, wide = false): void {
    if (text !== '') this.#line.push({ gap, text, wide: wide && this.begun });
  }

  /** Ends the line; nothing happens where none was begun. */
  end(): void {
    if (this.begun) this.#done.push(this.#line);
    this.#line = [];
  }

  /** An empty line; never two together, and none at the beginning. */
  blank(): void {
    this.end();
    const last = this.#done.at(-1);
    if (last !== undefined && last !== '' && last !== separator) this.#done.push('');
  }

  /** `---` between documents; blank lines around it go. */
  separator(): void {
    this.end();
    while (this.#done.at(-1) === '') this.#done.pop();
    this.#done.push(separator);
  }

  /** A line as it is (inside a block scalar). */
  raw(text: string): void {
    this.end();
    this.#done.push(text);
  }

  print(): string {
    this.end();
    const lines = [...this.#done];
    while (lines.at(-1) === '') lines.pop();
    const settled = settle(lines);
    return settled.map((line) => `${typeof line === 'string' ? line : printed(line)}\n`).join('');
  }
}

type Line = readonly Piece[] | string;

const printed = (line: readonly Piece[]): string =>
  line.map(({ gap, text }) => ' '.repeat(gap) + text).join('');

/** Narrows wide gaps that line up with nothing above or below, one per line at a time, until all that are left do. */
function settle(lines: readonly Line[]): readonly Line[] {
  const settled = [...lines];
  const open = new Set(settled.keys());
  for (const i of open) {
    open.delete(i);
    const line = settled[i];
    if (line === undefined || typeof line === 'string') continue;
    const narrow = unaligned(line, [settled[i - 1], settled[i + 1]]);
    if (narrow === undefined) continue;
    settled[i] = line.map((piece, at) => (at === narrow ? { ...piece, gap: 1 } : piece));
    // What stands on the lines beside it may have lined up with what moved.
    for (const again of [i - 1, i, i + 1]) open.add(again);
  }
  return settled;
}

/** @returns the first piece whose wide gap lines up with no piece of the lines beside it */
function unaligned(line: readonly Piece[], beside: readonly (Line | undefined)[]): number | undefined {
  if (!line.some(({ gap, wide }) => wide && gap > 1)) return undefined;
  const columns = new Set(beside.flatMap((other) => (Array.isArray(other) ? columnsOf(other) : [])));
  const own = columnsOf(line);
  const found = line.findIndex(({ gap, wide }, at) => wide && gap > 1 && !columns.has(own[at] ?? -1));
  return found < 0 ? undefined : found;
}

function columnsOf(line: readonly Piece[]): readonly number[] {
  let column = 0;
  return line.map(({ gap, text }) => {
    const start = column + gap;
    column = start + text.length;
    return start;
  });
}
