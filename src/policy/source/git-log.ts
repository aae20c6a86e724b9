import type { SeenCommit, Signature } from './trust.ts';

// What `git log` says of commits and their signatures, in fields that no commit can forge: NUL ends each. Pure.

/** Id, parents, committer's time, author, verdict, signer, key, primary key, approved commits. */
export const logFormat = [
  '%H',
  '%P',
  '%ct',
  '%an <%ae>',
  '%G?',
  '%GS',
  '%GF',
  '%GP',
  '%(trailers:key=Approves,valueonly=true,unfold=true,separator=%x2C)',
].join('%x00');

const fields = 9;

export function parseLog(
  output: Buffer,
): (Omit<SeenCommit, 'changes'> & { readonly parents: readonly string[] })[] {
  const parts = output.toString('utf8').split('\0');
  const commits = [];
  for (let at = 0; at + fields <= parts.length; at += fields) {
    const field = (i: number) => parts[at + i] ?? '';
    commits.push({
      id: field(0),
      parents: field(1).split(' ').filter(Boolean),
      committedAt: Number(field(2)) * 1000,
      author: field(3),
      signature: signatureOf(field(4), field(5), field(6), field(7)),
      approves: field(8)
        .split(',')
        .map((id) => id.trim().toLowerCase())
        .filter((id) => /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(id)),
    });
  }
  return commits;
}

/** git's letters (git-log(1), `%G?`). `U`: good, by a key that nobody names (SSH) or that the keyring holds (OpenPGP). */
function signatureOf(verdict: string, signer: string, key: string, primary: string): Signature {
  const ssh = key.startsWith('SHA256:');
  const openPgp = /^[0-9A-F]{40,64}$/.test(primary);
  if (verdict === 'G' && ssh && signer !== '') return { kind: 'good', signer };
  if ((verdict === 'G' || verdict === 'U') && !ssh && openPgp) return { kind: 'good', signer: primary };
  return { kind: 'refused', why: refusals[verdict]?.(key) ?? 'its signature cannot be verified' };
}

const refusals: Readonly<Record<string, (key: string) => string>> = {
  N: () => 'it is not signed',
  B: () => 'its signature is not good: the commit was changed, or the key is revoked',
  U: (key) => `it is signed with ${key}, which is nobody's whom the allowed signers named at that time`,
  X: () => 'its signature has expired',
  Y: () => 'the key that signed it has expired',
  R: () => 'the key that signed it is revoked',
  E: () => 'its signature cannot be verified: it is of a kind, or by a key, that is not trusted here',
};
