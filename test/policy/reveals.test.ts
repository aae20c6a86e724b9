import { beforeAll, expect, test } from 'vitest';
import { initParser, parseExpression } from '../../src/policy/expression/parse.ts';
import { groupsAsked, reveals, truthOf } from '../../src/policy/reveals.ts';

beforeAll(() => initParser());

const columns = new Map([
  ['value', { type: 'text' } as const],
  ['other', { type: 'text' } as const],
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

test('groups that an expression asks for', () => {
  expect(groupsAsked(parsed("is_member('a') or (value = 'x' and is_member('b'))", 'boolean'))).toEqual([
    'a',
    'b',
  ]);
});
