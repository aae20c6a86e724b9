import type { CatalogInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import { lastPart } from '../kernel/securable-name.ts';
import { significantTokens } from './lex.ts';

// What is refused because lake and system catalogs do not have it, told in words of the catalog that was asked.

/** A catalog in the words of a message: `the lake`, `the system catalog`. */
export interface Where {
  readonly words: string;
  readonly kind: 'lake' | 'system';
  readonly name: string;
}

export function whereOf(catalog: Pick<CatalogInfo, 'name' | 'kind'>): Where {
  const kind = catalog.kind === 'SYSTEM' ? 'system' : 'lake';
  return { words: kind === 'lake' ? 'the lake' : 'the system catalog', kind, name: lastPart(catalog.name) };
}

/** Thrown where the catalog is not known; `on` says it. */
export class Unsupported extends WritError {
  readonly #what: string;
  readonly #hint: string | undefined;

  constructor(what: string, hint?: string) {
    super('refused_on_purpose', { message: `${what} is not supported`, hint: hint ?? selectOnly });
    this.#what = what;
    this.#hint = hint;
  }

  on(where: Where): WritError {
    return new WritError('refused_on_purpose', {
      message: `${this.#what} is not supported on ${where.words}`,
      hint: this.#hint ?? `${where.words} answers SELECT statements over its tables; see docs/differences.md`,
    });
  }
}

const selectOnly =
  'lake and system catalogs answer SELECT statements over their tables; see docs/differences.md';

/**
 * What the client is told of a statement that was not accepted. psql's backslash commands ask pg_catalog, in spellings
 * that fail here in many ways: they get one answer.
 */
export function refusalOn(where: Where, text: string, thrown: unknown): unknown {
  if (!(thrown instanceof WritError)) return thrown;
  const isAboutText = ['refused_on_purpose', 'syntax_error', 'no_such_table'].includes(thrown.code);
  if (isAboutText && asksEngineCatalog(text)) return noEngineCatalog(where);
  return thrown instanceof Unsupported ? thrown.on(where) : thrown;
}

export function listsTables(where: Where): string {
  return `\`writ catalog ls ${where.name}\` lists tables`;
}

function noEngineCatalog(where: Where): WritError {
  return new WritError('refused_on_purpose', {
    message: `the catalog ${where.name} has no pg_catalog`,
    detail: "psql's \\d, \\dt, \\l, \\dn and the like read it.",
    hint: `${listsTables(where)}; pg_catalog is not emulated on ${where.kind} catalogs`,
  });
}

const engineSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);

/** `pg_catalog.…`, `from pg_class`, `information_schema.…` */
function asksEngineCatalog(text: string): boolean {
  const tokens = significantTokens(text).map(({ text: token }) => token.toLowerCase().replaceAll('"', ''));
  return tokens.some(
    (token, i) =>
      (engineSchemas.has(token) && tokens[i + 1] === '.') ||
      (/^pg_[a-z_]+$/.test(token) &&
        ['from', 'join', ','].includes(tokens[i - 1] ?? '') &&
        tokens[i + 1] !== '('),
  );
}
