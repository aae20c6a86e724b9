import { WritError } from '../../kernel/errors.ts';

// The file of git's gpg.ssh.allowedSignersFile (ssh-keygen(1), ALLOWED SIGNERS), as far as it must be looked at here.

/**
 * One key under two principals: git names one of them, and whoever chooses a commit's date might choose which.
 * @throws invalid_config naming the lines
 */
export function expectOnePrincipalPerKey(text: string): void {
  const seen = new Map<string, { readonly principals: string; readonly line: number }>();
  for (const [i, line] of text.split('\n').entries()) {
    const [, principals, key] = /^\s*([^#\s]\S*)\s.*?\b(AAAA[A-Za-z0-9+/=]+)/.exec(line) ?? [];
    if (principals === undefined || key === undefined) continue;
    const before = seen.get(key);
    if (before !== undefined && before.principals !== principals)
      throw new WritError('invalid_config', {
        message: `one key belongs to two principals: ${before.principals} (line ${before.line}) and ${principals} (line ${i + 1})`,
        hint: 'a key says who signed: give each principal one of their own',
      });
    seen.set(key, { principals, line: i + 1 });
  }
}
