import { type Alias, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Scalar } from 'yaml';
import { WritError } from '../kernel/errors.ts';
import type { Place, Placed, PlacedText } from './document.ts';
import type { Findings } from './findings.ts';
import type { RuleOf } from './lint-rules.ts';
import type { PolicyFile } from './model.ts';

// Reads YAML nodes into typed values with their places. Every problem becomes a finding and the reading goes on: a
// method answers undefined (or leaves an entry out) for what it could not read.

export interface Field {
  readonly key: Placed<string>;
  readonly value: YamlValue;
}

type FieldShape = Readonly<Record<string, 'required' | 'optional'>>;

/** One YAML node, or nothing (`key:` without a value). */
export class YamlValue {
  readonly at: Place;
  readonly #node: Node | null;
  readonly #source: Source;
  /** Reached through an alias: it may be read many times. */
  readonly #again: boolean;

  constructor(node: Node | null, at: Place, source: Source, again = false) {
    this.#node = node;
    this.at = at;
    this.#source = source;
    this.#again = again;
  }

  get isList(): boolean {
    return isSeq(this.#node);
  }

  get isMap(): boolean {
    return isMap(this.#node);
  }

  /** A map with keys of the file's choosing (names of groups, tags …). Duplicate keys are findings. */
  entries(what: string): readonly Field[] {
    if (!isMap(this.#node)) return this.wrong(`${what} must be a map`) ?? [];
    if (this.#again && !this.#source.mayRead(this.#node.items.length, this.at)) return [];
    const fields: Field[] = [];
    const seen = new Set<string>();
    for (const pair of this.#node.items) {
      const keyNode = pair.key as Node;
      const at = this.#source.place(keyNode, this.at);
      const name = isScalar(keyNode) && typeof keyNode.value !== 'object' ? String(keyNode.value) : undefined;
      if (name === undefined || name === '') {
        this.#source.findings.error('wrong-type', at, `a key in ${what} must be a text`);
        continue;
      }
      if (seen.has(name)) {
        this.#source.findings.error('duplicate-key', at, `${JSON.stringify(name)} stands twice in ${what}`);
        continue;
      }
      seen.add(name);
      fields.push({ key: { value: name, at }, value: this.below(pair.value as Node | null, at) });
    }
    return fields;
  }

  /** A map with exactly these keys; unknown and missing ones are findings. */
  fields<Shape extends FieldShape>(
    what: string,
    shape: Shape,
  ): { readonly [K in keyof Shape]?: YamlValue } | undefined {
    if (!isMap(this.#node)) return this.wrong(`${what} must be a map`);
    const found: { [K in keyof Shape]?: YamlValue } = {};
    for (const { key, value } of this.entries(what)) {
      if (Object.hasOwn(shape, key.value)) found[key.value as keyof Shape] = value;
      else this.unknownKey(what, key, Object.keys(shape));
    }
    for (const [name, need] of Object.entries(shape)) {
      if (need === 'required' && found[name] === undefined)
        this.#source.findings.error('missing-key', this.at, `${what} needs ${JSON.stringify(name)}`);
    }
    return found;
  }

  /** A list; anything else is a finding. */
  list(what: string): readonly YamlValue[] {
    if (!isSeq(this.#node)) return this.wrong(`${what} must be a list`) ?? [];
    if (this.#again && !this.#source.mayRead(this.#node.items.length, this.at)) return [];
    return this.#node.items.map((item) => this.below(item as Node | null, this.at));
  }

  /** A list, or one value that stands for a list of one. */
  oneOrMany(what: string): readonly YamlValue[] {
    return isSeq(this.#node) ? this.list(what) : [this];
  }

  text(what: string): PlacedText | undefined {
    if (!isScalar(this.#node) || typeof this.#node.value !== 'string' || this.#node.value === '')
      return this.wrong(`${what} must be a text`);
    return { value: this.#node.value, at: this.at, placeOf: this.#source.placesIn(this.#node, this.at) };
  }

  /** A text, read by a parser of names; what the parser throws becomes a finding at this place. */
  parsed<T>(what: string, rule: RuleOf<'error'>, parse: (text: string) => T): Placed<T> | undefined {
    const text = this.scalarText(what);
    if (text === undefined) return undefined;
    try {
      return { value: parse(text), at: this.at };
    } catch (thrown) {
      if (!(thrown instanceof WritError)) throw thrown;
      const detail = thrown.detail === undefined ? '' : `: ${thrown.detail}`;
      this.#source.findings.error(rule, this.at, `${what}: ${thrown.message}${detail}`, thrown.hint);
      return undefined;
    }
  }

  /** A text; numbers and booleans are read as they are written, so that a tag value may be `2024` or `true`. */
  scalarText(what: string): string | undefined {
    if (!isScalar(this.#node) || this.#node.value === null || typeof this.#node.value === 'object')
      return this.wrong(`${what} must be a text`);
    const { value, source } = this.#node;
    return typeof value === 'string' ? value : (source ?? String(value));
  }

  integer(what: string): number | undefined {
    if (!isScalar(this.#node) || !Number.isSafeInteger(this.#node.value))
      return this.wrong(`${what} must be an integer`);
    return this.#node.value as number;
  }

  get isTrue(): boolean {
    return isScalar(this.#node) && this.#node.value === true;
  }

  /** The value as plain data (rows of tests). */
  plain(): unknown {
    if (this.#node === null) return null;
    try {
      return this.#node.toJS(this.#source.document) as unknown;
    } catch (thrown) {
      // Its own guard against aliases of aliases.
      return this.wrong(thrown instanceof Error ? thrown.message : 'unreadable');
    }
  }

  /** Reports a wrong type here. @returns undefined, so that callers can return it */
  wrong(message: string): undefined {
    this.#source.findings.error('wrong-type', this.at, message);
    return undefined;
  }

  private below(node: Node | null, fallback: Place): YamlValue {
    const at = this.#source.place(node, fallback);
    if (!isAlias(node)) return new YamlValue(node, at, this.#source, this.#again);
    return new YamlValue(this.#source.resolve(node, at), at, this.#source, true);
  }

  private unknownKey(what: string, key: Placed<string>, known: readonly string[]): void {
    this.#source.findings.error(
      'unknown-key',
      key.at,
      `${what} has no key ${JSON.stringify(key.value)}`,
      `known: ${known.join(', ')}`,
    );
  }
}

type YamlDocument = Parameters<Node['toJS']>[0];

/** A small file may say very much through aliases of aliases: so many of them, and so many entries below them. */
const mostAliases = 100;
const mostAgain = 100_000;

/** What all nodes of one document share. */
export class Source {
  #aliases = 0;
  #again = 0;
  readonly findings: Findings;
  readonly document: YamlDocument;
  readonly #path: string;
  readonly #text: string;
  readonly #lines: LineCounter;

  constructor(file: PolicyFile, lines: LineCounter, findings: Findings, document: YamlDocument) {
    this.#path = file.path;
    this.#text = file.text;
    this.#lines = lines;
    this.findings = findings;
    this.document = document;
  }

  /** What an alias stands for; null, with one finding, where there are too many. */
  resolve(alias: Alias, at: Place): Node | null {
    if (++this.#aliases === mostAliases + 1) this.#tooMuch(at);
    return this.#aliases > mostAliases ? null : (alias.resolve(this.document) ?? null);
  }

  /** Whether so many entries more may be read below aliases; one finding where not. */
  mayRead(entries: number, at: Place): boolean {
    const before = this.#again;
    this.#again += entries;
    if (before <= mostAgain && this.#again > mostAgain) this.#tooMuch(at);
    return this.#again <= mostAgain;
  }

  #tooMuch(at: Place): void {
    const most = `at most ${mostAliases} of them, with ${mostAgain} entries below them all`;
    this.findings.error('yaml-syntax', at, `too much stands in this document through aliases: ${most}`);
  }

  at(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { path: this.#path, line, column: col };
  }

  place(node: Node | null | undefined, fallback: Place): Place {
    const start = node?.range?.[0];
    return start === undefined ? fallback : this.at(start);
  }

  /**
   * Maps offsets of a scalar's value to the file by walking both texts together: exact for plain and quoted scalars on
   * one line and for block scalars; near enough after an escape.
   */
  placesIn(node: Scalar, at: Place): (offset: number) => Place {
    const value = String(node.value);
    const [start, end] = node.range ?? [0, 0];
    const quoted = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE';
    const block = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
    return (offset) => {
      let file = block ? this.#text.indexOf('\n', start) + 1 : start + (quoted ? 1 : 0);
      for (let i = 0; i <= offset && i < value.length; i++, file++) {
        if (value[i] === '\n' || value[i] === ' ') continue;
        const found = this.#text.indexOf(value[i] ?? '', file);
        if (found === -1 || found >= end) return at;
        if (i === offset) return this.at(found);
        file = found;
      }
      return this.at(Math.min(file, end));
    };
  }
}
