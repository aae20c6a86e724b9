import { readFileSync, writeFileSync } from 'node:fs';
import type { CatalogSnapshot } from '../catalog/model.ts';
import { catalogFromJson } from '../catalog/snapshot-json.ts';
import { toWritError, WritError } from '../kernel/errors.ts';

// Files that commands are told to read and write.

/** @throws invalid_argument naming the file when it cannot be written. */
export function writeOut(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (cause) {
    throw new WritError('invalid_argument', {
      message: `${file} cannot be written`,
      detail: reason(cause),
      cause,
    });
  }
}

/** What `writ catalog export --out FILE` wrote. @throws invalid_argument naming the file and what is wrong with it. */
export function readCatalogFile(file: string): CatalogSnapshot {
  try {
    return catalogFromJson(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new WritError('invalid_argument', {
      message: `${file} is no exported catalog`,
      detail: reason(cause),
      hint: 'make one with `writ catalog export --out FILE`',
      cause,
    });
  }
}

function reason(thrown: unknown): string {
  if (!(thrown instanceof WritError) && thrown instanceof Error) return thrown.message;
  const { message, detail } = toWritError(thrown);
  return detail ?? message;
}
