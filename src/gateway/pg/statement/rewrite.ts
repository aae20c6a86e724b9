import { characterAt, fromBytes, offsetOf, type Source } from './source.ts';

// Replaces byte ranges; everything else stays byte for byte. Positions that the server reports are mapped back.

export interface Edit {
  /** Byte range in the client's text. */
  readonly start: number;
  readonly end: number;
  /** One character per UTF-8 byte. */
  readonly replacement: string;
}

export interface Rewritten {
  readonly text: string;
  /** UTF-8 bytes of the text. */
  readonly length: number;
  mapPosition(sent: number): number | undefined;
}

/** Applies edits that do not overlap; undefined when two do. The parser repeats some subtrees, so equal edits are one. */
export function rewrite(source: Source, edits: readonly Edit[]): Rewritten | undefined {
  const ordered = edits
    .toSorted((a, b) => a.start - b.start)
    .filter((edit, i, all) => !isEqual(edit, all[i - 1]))
    .map((edit) => separated(source.bytes, edit));
  let bytes = '';
  let from = 0;
  for (const edit of ordered) {
    if (edit.start < from) return undefined;
    bytes += source.bytes.slice(from, edit.start) + edit.replacement;
    from = edit.end;
  }
  bytes += source.bytes.slice(from);
  const text = source.bytes === source.text ? undefined : fromBytes(bytes);
  return {
    text: text ?? bytes,
    length: bytes.length,
    mapPosition: (sent) => mapBack(source.client, bytes, ordered, sent),
  };
}

function isEqual(a: Edit, b: Edit | undefined): boolean {
  return a.start === b?.start && a.end === b.end && a.replacement === b.replacement;
}

/** A quote must not join what stands beside it: `u&a.b.c` must not become `u&"a"…`, nor `t"x"` become `"t""x"`. */
function separated(bytes: string, edit: Edit): Edit {
  const before = bytes.charAt(edit.start - 1);
  const after = bytes.charAt(edit.end);
  const lead = before === '&' || before === '"' ? ' ' : '';
  const trail = after === '"' ? ' ' : '';
  return lead + trail === '' ? edit : { ...edit, replacement: lead + edit.replacement + trail };
}

function mapBack(before: string, after: string, edits: readonly Edit[], sent: number): number | undefined {
  const at = offsetOf(after, sent);
  if (at === undefined) return undefined;
  let shift = 0;
  for (const edit of edits) {
    const start = edit.start + shift;
    if (at < start) break;
    if (at < start + edit.replacement.length) return characterAt(before, edit.start);
    shift += edit.replacement.length - (edit.end - edit.start);
  }
  return characterAt(before, at - shift);
}
