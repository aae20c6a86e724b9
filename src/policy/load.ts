import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { WritError } from '../kernel/errors.ts';
import { compareText } from './findings.ts';
import type { PolicyFile } from './model.ts';

const maximumBytes = 8 * 1024 * 1024;

/**
 * Every *.yaml and *.yml below the folder, sorted by path; paths are relative to it, with forward slashes.
 * @throws invalid_policy when the folder is missing or holds no policy file, or a file cannot be read, is over 8 MiB or
 * is no UTF-8.
 */
export async function loadPolicyFiles(folder: string): Promise<readonly PolicyFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) =>
    refuse(`the policy folder ${folder} cannot be read`, cause, whichFolder),
  );
  const paths = entries
    .filter((entry) => !entry.isDirectory() && /\.ya?ml$/i.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  if (paths.length === 0) refuse(`the policy folder ${folder} holds no .yaml file`, undefined, whichFolder);
  const files = await Promise.all(paths.map((path) => loadFile(folder, path)));
  return files.toSorted((a, b) => compareText(a.path, b.path));
}

async function loadFile(folder: string, path: string): Promise<PolicyFile> {
  const unreadable = (cause: unknown) => refuse(`the policy file ${path} cannot be read`, cause);
  const { size } = await stat(path).catch(unreadable);
  if (size > maximumBytes) refuse(`the policy file ${path} is over ${maximumBytes} bytes`);
  const bytes = await readFile(path).catch(unreadable);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { path: relative(folder, path).split(sep).join('/'), text };
  } catch (cause) {
    return refuse(`the policy file ${path} is no valid UTF-8`, cause);
  }
}

const whichFolder = 'name the folder of the policy files with --policies FOLDER or WRIT_POLICIES';

function refuse(message: string, cause?: unknown, hint?: string): never {
  const detail = cause instanceof Error ? cause.message : undefined;
  throw new WritError('invalid_policy', {
    message,
    cause,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });
}
