import { beforeAll, expect, test } from 'vitest';
import { initParser, parseExpression } from '../../src/policy/expression/parse.ts';
import { groupsAsked, letsAllThrough, reveals, truthOf } from '../../src/policy/reveals.ts';

beforeAll(() => initParser());

const columns = new Map([
  ['value', { type: 'text' } as const],
  ['other', { type: 'text' } as const],
  ['flag', { type: 'boolean' } as const],
]);
function parsed(text: string, type: 'text' | 'boolean') {
  const { expression, problems } = parseExpression(text, columns, type);
  if (expression === undefined) throw new Error(JSON.stringify(problems));
  return expression;
}
const isMember = (group: string) => group === 'mine';

test.each([
  ['value', true],
  ["value || ''", true],
  ["'x' || value", true],
  ["coalesce(value, 'x')", true],
  ['substring(value, 1)', true],
  ["case when other = 'x' then value else '*' end", true],
  ["case when is_member('mine') then value else '*' end", true],
  ["case when is_member('theirs') then value else '*' end", false],
  ["case when not is_member('mine') then value else '*' end", false],
  ["case when is_member('mine') and other = 'x' then value else '*' end", true],
  ["case when is_member('mine') then '*' else value end", false],
  ["case when principal() = 'x' then value else '*' end", true],
  ["'*'", false],
  ['other', false],
  ["left(value, 1) || '***'", false],
  ["'***' || right(value, 2)", false],
  ["split_part(value, '@', 2)", false],
  ['substring(value, 3)', false],
  ['substring(value, 1, 2)', false],
  // Pieces that together are all of it, or so much that they may be.
  ['left(value, 100)', true],
  ['right(value, 11)', true],
  ["left(value, 6) || '…' || right(value, 4)", false],
  ["left(value, 7) || '…' || right(value, 4)", true],
  ['left(left(value, 100), 3)', false],
  ['left(value, 1) || substring(value, 2)', true],
  ["split_part(value, '@', 1)", true],
  ["split_part(value, '@', 2) || split_part(value, '@', 3)", true],
  ['substring(value, 1, 100)', true],
  ['right(value, 0)', false],
  // What is cut off is not of the value.
  ["substring('**' || value, 3)", true],
  ["split_part('@' || value, '@', 2)", true],
  // Equal numbers and moments are not always written alike.
  ["case when 1.0 = 1.00 then value else '*' end", true],
  ["case when timestamptz '2020-01-01 00:00:00Z' = '2020-01-01 01:00:00+01:00' then value end", true],
])('%s shows the whole value: %s', (text, shows) => {
  expect(reveals(parsed(text, 'text'), isMember)).toBe(shows);
});

test.each([
  ['true', true],
  ['false', false],
  ["value = 'x' or true", true],
  ["value = 'x' and false", false],
  ["value = 'x'", undefined],
  ["is_member('mine') or value = 'x'", true],
  ["is_member('theirs') or value = 'x'", undefined],
  ["not is_member('theirs')", true],
  ["'a' = 'a'", true],
  ["'a' <> 'a'", false],
])('%s is always: %s', (text, truth) => {
  expect(truthOf(parsed(text, 'boolean'), isMember)).toBe(truth);
});

test.each(["case when flag then 'yes' else 'no' end", "case when not flag then 'no' else 'yes' end"])(
  'a condition on a boolean says all of it: %s',
  (text) => {
    expect(reveals(parsed(text, 'text'), isMember, new Set(['flag']))).toBe(true);
    expect(reveals(parsed(text, 'text'), isMember)).toBe(false);
  },
);

test.each(['flag', 'not flag', 'flag = true', 'flag is null or flag', 'flag and value is null'])(
  'a boolean as a mask: %s',
  (text) => {
    expect(reveals(parsed(text, 'boolean'), isMember, new Set(['flag']))).toBe(true);
  },
);

test.each([
  ["value = any(attribute('region'))", false],
  ["value <> 'x'", false],
  ["is_member('theirs') or value = 'x'", false],
  ["coalesce(value = 'x', true)", false],
  ["case when is_member('theirs') then true else value = 'x' end", false],
  ["case when value = 'x' then true else false end", false],
  ['value is not null', false],
  ['false', false],
  ["is_member('mine') or value = 'x'", true],
  ['1 < 2', true],
  ["'x' is not null", true],
  ["'a' in ('a', 'b')", true],
  ['value = value', true],
  ['value = value or value is null', true],
  ['value is null or value is not null', true],
  ["value in ('x') or value not in ('x')", true],
  ["value = 'x' or not (value = 'x')", true],
  ["coalesce(value, 'x') is not null", true],
  ['coalesce(null, 1 < 2)', true],
  ["principal() = 'mallory@x.io'", true],
  ["not (principal() = 'mallory@x.io')", true],
  ["'*' = any(attribute('region')) or value = any(attribute('region'))", true],
  ["case when principal() = 'mallory@x.io' then true else value = 'x' end", true],
  ["case when value = 'x' then 1 < 2 else 2 < 3 end", true],
])('%s may let every row through: %s', (text, lets) => {
  expect(letsAllThrough(parsed(text, 'boolean'), isMember)).toBe(lets);
});

test('groups that an expression asks for', () => {
  expect(groupsAsked(parsed("is_member('a') or (value = 'x' and is_member('b'))", 'boolean'))).toEqual([
    'a',
    'b',
  ]);
});
