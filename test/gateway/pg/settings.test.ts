import { describe, expect, test } from 'vitest';
import {
  applicationSearchPath,
  checkSetting,
  formatSearchPath,
  forwardedSettings,
  parseSearchPath,
} from '../../../src/gateway/pg/settings.ts';

describe('client_encoding', () => {
  test.each(['UTF8', 'utf-8', ' Utf_8', 'UNICODE', "'utf8'", 'SQL_ASCII'])('%s is UTF8', (value) => {
    expect(checkSetting('client_encoding', value)).toBe('UTF8');
  });
  test.each(['LATIN1', 'WIN1252', '', 'utf16'])('%s is refused', (value) => {
    expect(() => checkSetting('client_encoding', value)).toThrow('client_encoding');
  });
});

describe('search_path', () => {
  test.each<[string, readonly string[]]>([
    ['a', ['a']],
    ['A, "B ""c" ,d', ['a', 'B "c', 'd']],
    ['', []],
    ['"$user", public', ['$user', 'public']],
  ])('%j', (value, schemas) => {
    expect(parseSearchPath(value)).toEqual(schemas);
    expect(parseSearchPath(formatSearchPath(schemas))).toEqual(schemas);
  });
  test.each(['a b', 'a,', ',', '"a', 'a;b"'])('%j is no list of names', (value) => {
    expect(() => parseSearchPath(value)).toThrow('search_path');
  });
  test('shadow and temporary schemas are not the application’s', () => {
    for (const value of ['writ', 'public, writ_public', '"writ_public_clear"', 'pg_temp', 'pg_toast_temp_1'])
      expect(() => checkSetting('search_path', value)).toThrow('permission denied for schema');
    expect(applicationSearchPath(new Map())).toEqual(['public']);
    expect(applicationSearchPath(new Map([['search_path', '"$user", app']]))).toEqual(['app']);
  });
});

test('what the door sets itself is not forwarded', () => {
  const settings = new Map([
    ['client_encoding', 'UTF8'],
    ['search_path', 'a'],
    ['jit', 'off'],
    ['standard_conforming_strings', 'on'],
  ]);
  expect([...forwardedSettings(settings).keys()]).toEqual(['jit']);
  expect(() => checkSetting('standard_conforming_strings', 'off')).toThrow('must be on');
});
