import { WritError } from '../../kernel/errors.ts';
import { compareText } from '../findings.ts';
import type { PolicyFile } from '../model.ts';

// The policy files in a commit's tree. The same caps as for a folder (policy/load.ts); what a folder could only hold as
// a link elsewhere is refused.

export interface TreeEntry {
  /** From the top of the repository. */
  readonly path: string;
  /** Six octal digits. */
  readonly mode: string;
  readonly object: string;
  /** Bytes; undefined for a submodule. */
  readonly size: number | undefined;
}

const maximumBytes = 8 * 1024 * 1024;
const maximumTotal = 64 * 1024 * 1024;
const regular = /^100(?:644|755|664)$/;

/** The output of `git ls-tree -r -z -l`. @throws invalid_policy for a path that is no UTF-8 or holds control characters */
export function treeEntries(output: Buffer): readonly TreeEntry[] {
  const text = decode(output, 'a path');
  return text
    .split('\0')
    .filter(Boolean)
    .map((line) => {
      const tab = line.indexOf('\t');
      const path = line.slice(tab + 1);
      // It would be printed to who looks at what was refused.
      if (/\p{Cc}/u.test(path)) refuse(`the path ${JSON.stringify(path)} holds control characters`);
      const [mode = '', , object = '', size = ''] = line.slice(0, tab).split(/ +/);
      return {
        path,
        mode,
        object,
        size: /^\d+$/.test(size) ? Number(size) : undefined,
      };
    });
}

/**
 * @param read the output of `git cat-file --batch` for some objects
 * @throws invalid_policy for links and submodules, files over 8 MiB, 64 MiB in all, no UTF-8, no policy file
 */
export async function filesOfTree(
  entries: readonly TreeEntry[],
  folder: string,
  read: (objects: readonly string[]) => Promise<Buffer>,
): Promise<readonly PolicyFile[]> {
  const paths = new Set(entries.map(({ path }) => path));
  if (paths.size < entries.length) refuse(`a path stands twice in the folder ${folder} of the commit`);
  for (const { path, mode } of entries) if (!regular.test(mode)) refuse(`${path} is ${kindOf(mode)}`);
  const wanted = entries.filter(({ path }) => /\.ya?ml$/i.test(path));
  if (wanted.length === 0) refuse(`the folder ${folder} of the commit holds no .yaml file`);
  const large = wanted.find(({ size = 0 }) => size > maximumBytes);
  if (large !== undefined) refuse(`the policy file ${large.path} is over ${maximumBytes} bytes`);
  if (wanted.reduce((sum, { size = 0 }) => sum + size, 0) > maximumTotal)
    refuse(`the policy files are over ${maximumTotal} bytes together`);
  const contents = blobsOf(await read(wanted.map(({ object }) => object)));
  const prefix = folder === '.' ? '' : `${folder}/`;
  return wanted
    .map(({ path }, i) => ({
      path: path.slice(prefix.length),
      text: decode(contents[i] ?? refuse(`${path} cannot be read`), `the policy file ${path}`),
    }))
    .toSorted((a, b) => compareText(a.path, b.path));
}

function kindOf(mode: string): string {
  if (mode === '120000') return 'a symbolic link: only plain files are read';
  if (mode === '160000') return 'a submodule: only plain files are read';
  return `of mode ${mode}: only plain files are read`;
}

/** `<object> blob <size>\n<content>\n`, one after the other. */
function blobsOf(output: Buffer): Buffer[] {
  const blobs: Buffer[] = [];
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf('\n', at);
    const size = Number(/^[0-9a-f]+ blob (\d+)$/.exec(output.toString('latin1', at, end))?.[1]);
    if (!Number.isInteger(size)) refuse('an object of the policy folder is no file');
    blobs.push(output.subarray(end + 1, end + 1 + size));
    at = end + 2 + size;
  }
  return blobs;
}

function decode(bytes: Buffer, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new WritError('invalid_policy', { message: `${what} is no valid UTF-8`, cause });
  }
}

function refuse(message: string): never {
  throw new WritError('invalid_policy', { message });
}
