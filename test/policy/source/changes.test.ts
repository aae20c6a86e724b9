import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedPaths, type Tree } from '../../../src/policy/source/changes.ts';

const tree = (files: Readonly<Record<string, string>>): Tree => new Map(Object.entries(files));

describe('what a commit itself changes', () => {
  test('the first commit: everything', () => {
    expect(changedPaths(tree({ a: '1', b: '2' }), [], [])).toEqual(['a', 'b']);
  });

  test('one parent: added, changed, removed, a changed mode', () => {
    const parent = tree({ same: '1', changed: '1', gone: '1', mode: '100644 1' });
    const result = tree({ same: '1', changed: '2', added: '1', mode: '100755 1' });
    expect(changedPaths(result, [parent], [])).toEqual(['added', 'changed', 'gone', 'mode']);
  });

  const base = tree({ x: 'wide' });
  test.each([
    ['takes what one side changed', 'narrow', ['narrow', 'wide'], []],
    ['keeps the older version', 'wide', ['narrow', 'wide'], ['x']],
    ['takes one side of a conflict', 'mine', ['mine', 'theirs'], ['x']],
    ['writes something of its own', 'new', ['narrow', 'wide'], ['x']],
    ['both changed alike', 'narrow', ['narrow', 'narrow'], []],
    ['both changed alike, and it goes back', 'wide', ['narrow', 'narrow'], ['x']],
    ['nobody changed it', 'wide', ['wide', 'wide'], []],
    ['nobody changed it, the merge does', 'new', ['wide', 'wide'], ['x']],
    ['of three', 'narrow', ['wide', 'narrow', 'wide'], []],
  ])('a merge: %s', (_, result, sides, expected) => {
    const parents = sides.map((x) => tree({ x }));
    expect(changedPaths(tree({ x: result }), parents, [base])).toEqual(expected);
  });

  test('histories without a common beginning: what both have must be alike', () => {
    expect(changedPaths(tree({ a: '1', b: '1' }), [tree({ a: '1' }), tree({ b: '1' })], [])).toEqual([]);
    expect(changedPaths(tree({ a: '1' }), [tree({ a: '1' }), tree({ a: '2' })], [])).toEqual(['a']);
  });

  test('several bases: whatever they do not agree on counts as changed', () => {
    const parents = [tree({ x: '1' }), tree({ x: '2' })];
    expect(changedPaths(tree({ x: '2' }), parents, [tree({ x: '1' }), tree({ x: '2' })])).toEqual(['x']);
  });

  test('nothing comes into the result unseen: a path that nobody changed has the value of the base', () => {
    const value = fc.option(fc.constantFrom('1', '2', '3'), { nil: undefined });
    const files = fc.record({ a: value, b: value });
    const toTree = (record: { a: string | undefined; b: string | undefined }) =>
      new Map(
        Object.entries(record).flatMap(([path, object]) => (object === undefined ? [] : [[path, object]])),
      ) as Tree;
    fc.assert(
      fc.property(files, files, files, files, (result, left, right, before) => {
        const changed = changedPaths(toTree(result), [toTree(left), toTree(right)], [toTree(before)]);
        for (const path of ['a', 'b'] as const) {
          if (changed.includes(path)) continue;
          const sides = [left[path], right[path]].filter((side) => side !== before[path]);
          expect(result[path]).toBe(sides.length === 0 ? before[path] : sides[0]);
          expect(new Set(sides).size).toBeLessThan(2);
        }
      }),
    );
  });
});
