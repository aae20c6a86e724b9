import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import type { Environment } from './settings.ts';

// Secrets do not stand in writ.yaml: it says where they are.

export const referenceSchema = z
  .union([
    z.string().min(1),
    z.strictObject({ env: z.string().min(1) }),
    z.strictObject({ file: z.string().min(1) }),
  ])
  .describe('A value, or where it is: { env: NAME } or { file: PATH }, relative to the file that says it.');

export type Reference = z.infer<typeof referenceSchema>;

/**
 * The value that a reference stands for, without surrounding white space. `folder` is where relative files start.
 * @throws invalid_config naming the variable or file, never its content.
 */
export function resolveReference(reference: Reference, env: Environment, folder: string): string {
  if (typeof reference === 'string') return reference;
  if ('env' in reference) {
    return nonEmpty(env[reference.env], `environment variable ${reference.env} is not set`);
  }
  const path = resolve(folder, reference.file);
  return nonEmpty(readText(path), `file ${path} is empty`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WritError('invalid_config', { message: `file ${path} cannot be read`, cause });
  }
}

function nonEmpty(value: string | undefined, message: string): string {
  const text = value?.trim() ?? '';
  if (text === '') throw new WritError('invalid_config', { message });
  return text;
}
