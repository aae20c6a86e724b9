// Path patterns of delegations and approvals. Pure.

/** Whether the pattern names the path: `*` and `?` stay in one folder, `**` does not. `shop/**` is all below shop. */
export function matchesGlob(pattern: string, path: string): boolean {
  return toRegExp(pattern).test(path);
}

/** Characters before the first wildcard: of two patterns that name a path, the longer beginning is the more specific. */
export function specificity(pattern: string): number {
  const wild = pattern.search(/[*?]/);
  return wild < 0 ? Number.POSITIVE_INFINITY : wild;
}

function toRegExp(pattern: string): RegExp {
  const source = pattern
    .split(/(\*\*\/|\*\*|\*|\?)/)
    .map((part) => wildcards[part] ?? part.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&'))
    .join('');
  return new RegExp(`^${source}$`, 'su');
}

const wildcards: Readonly<Record<string, string>> = {
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '[^/]',
};
