import { describe, expect, test } from 'vitest';
import { repositoryAddress } from '../../../src/policy/source/address.ts';

describe('repositoryAddress', () => {
  test.each([
    ['policies.git', '/srv/policies.git'],
    ['/srv/x', '/srv/x'],
    ['git@github.com:acme/policies.git', 'git@github.com:acme/policies.git'],
    ['ssh://git@github.com/acme/policies.git', 'ssh://git@github.com/acme/policies.git'],
    ['https://github.com/acme/policies.git', 'https://github.com/acme/policies.git'],
    ['file:///srv/x', 'file:///srv/x'],
  ])('%s', (text, shown) => {
    expect(repositoryAddress(text, '/srv')).toEqual({ shown, header: undefined });
  });

  test('a secret leaves the URL for a header', () => {
    const { shown, header } = repositoryAddress('https://bot:s3%40cret@git.acme.test/p.git', '/');
    expect(shown).toBe('https://git.acme.test/p.git');
    expect(header).toBe(`Authorization: Basic ${Buffer.from('bot:s3@cret').toString('base64')}`);
  });

  test.each([
    'ext::sh -c id',
    'ext::sh',
    '--upload-pack=id',
    'http://git.acme.test/p.git',
    'git://git.acme.test/p.git',
    'ssh://-oProxyCommand=id/x',
    'ssh://git:s3cret@git.acme.test/p.git',
    '-oProxyCommand=id:x',
    'git@host:-x',
    'https://git.acme.test/p.git?token=s3cret',
    'a\nb',
  ])('refused, and no word of it said: %j', (text) => {
    try {
      repositoryAddress(text, '/');
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_config' });
      expect(String((error as Error).message)).not.toContain('s3cret');
      return;
    }
    throw new Error('it was accepted');
  });
});
