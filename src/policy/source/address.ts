import { resolve } from 'node:path';
import { WritError } from '../../kernel/errors.ts';

// Where a repository is. A secret in its URL is taken out at once: it is handed to git in a header, through the
// environment, and stands in no command line, log, record or answer.

export interface RepositoryAddress {
  /** What git is told and people are shown: without a secret. */
  readonly shown: string;
  /** `Authorization: …` for an https URL that came with a secret. */
  readonly header: string | undefined;
}

/**
 * @param folder where relative paths start
 * @throws invalid_config for anything but a path, https://, ssh://, file:// and user@host:path; never quotes a secret
 */
export function repositoryAddress(text: string, folder: string): RepositoryAddress {
  if (/[\p{Cc}\s]/u.test(text) || text.startsWith('-')) throw refused();
  if (/^[\w.+-]+::/.test(text)) throw refused();
  if (/^[\w+.-]+:\/\//.test(text)) return ofUrl(text);
  if (/^(?:[\w.+-]+@)?[A-Za-z0-9][\w.-]*:(?!\/\/)[^-].*$/.test(text))
    return { shown: text, header: undefined };
  if (text.includes(':')) throw refused();
  return { shown: resolve(folder, text), header: undefined };
}

function ofUrl(text: string): RepositoryAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.search !== '' || url.hash !== '') throw refused();
  switch (url.protocol) {
    case 'file:':
      return { shown: `file://${url.pathname}`, header: undefined };
    case 'ssh:':
      if (url.password !== '' || url.hostname.startsWith('-')) throw refused();
      return { shown: url.href, header: undefined };
    case 'https:': {
      const secret = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      url.username = '';
      url.password = '';
      const header = `Authorization: Basic ${Buffer.from(secret).toString('base64')}`;
      return { shown: url.href, header: secret === ':' ? undefined : header };
    }
    default:
      throw refused();
  }
}

function refused(): WritError {
  return new WritError('invalid_config', {
    message: 'the repository is a path, an https:// or ssh:// URL without a query, or user@host:path',
    hint: 'a password in an ssh:// URL is refused too: use a key',
  });
}
