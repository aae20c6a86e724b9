import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesGlob } from '../../../src/policy/source/glob.ts';
import { judge, mayChange, type SeenCommit, type Trust } from '../../../src/policy/source/trust.ts';

const now = Date.UTC(2026, 0, 1);
const id = (n: number) => n.toString(16).padStart(40, '0');

function commit(n: number, signer: string | undefined, parts: Partial<SeenCommit> = {}): SeenCommit {
  return {
    id: id(n),
    committedAt: now,
    author: 'somebody',
    signature: signer === undefined ? { kind: 'refused', why: 'it is not signed' } : { kind: 'good', signer },
    approves: [],
    changes: [],
    ...parts,
  };
}

const open: Trust = { delegations: [], approvals: [] };

describe('path patterns', () => {
  test.each([
    ['policies/**', 'policies/a/b.yaml', true],
    ['policies/*.yaml', 'policies/a.yaml', true],
    ['policies/*.yaml', 'policies/a/b.yaml', false],
    ['policies/**/x.yaml', 'policies/x.yaml', true],
    ['policies/**/x.yaml', 'policies/a/b/x.yaml', true],
    ['policies/shop/**', 'policies/shopping/a.yaml', false],
    ['policies/a.yaml', 'policies/aXyaml', false],
    ['policies/?.yaml', 'policies/a.yaml', true],
    ['policies/(a|b).yaml', 'policies/a.yaml', false],
    ['policies/**', 'policies/line\nbreak.yaml', true],
  ])('%s names %j: %s', (pattern, path, expected) => {
    expect(matchesGlob(pattern, path)).toBe(expected);
  });
});

describe('who may change what', () => {
  const delegations = [
    { paths: ['policies/shop/**'], signers: ['shop', 'lead'] },
    { paths: ['policies/shop/grants/**'], signers: ['lead'] },
  ];
  test.each([
    ['shop', 'policies/shop/a.yaml', true],
    ['shop', 'policies/shop/grants/a.yaml', false],
    ['lead', 'policies/shop/grants/a.yaml', true],
    ['root', 'policies/a.yaml', true],
    ['root', 'policies/shop/a.yaml', false],
    ['shop', 'policies/a.yaml', false],
  ])('%s, %s: %s', (signer, path, expected) => {
    expect(mayChange(signer, path, delegations)).toBe(expected);
  });

  test('equally specific delegations must agree', () => {
    const tied = [
      { paths: ['policies/*.yaml'], signers: ['a', 'both'] },
      { paths: ['policies/**'], signers: ['b', 'both'] },
    ];
    expect(['a', 'b', 'both'].filter((signer) => mayChange(signer, 'policies/x.yaml', tied))).toEqual([
      'both',
    ]);
  });

  test('a catch-all delegation closes the rest', () => {
    const closed = [...delegations, { paths: ['**'], signers: ['root'] }];
    expect(mayChange('root', 'policies/a.yaml', closed)).toBe(true);
    expect(mayChange('another', 'policies/a.yaml', closed)).toBe(false);
  });
});

describe('judge', () => {
  test('every commit must be signed, also one that touches no policy', () => {
    expect(judge([commit(1, 'ann'), commit(2, undefined)], open, now).problems).toEqual([
      `${id(2).slice(0, 12)}: it is not signed`,
    ]);
  });

  test('a commit from the future is refused, one a few minutes ahead is not', () => {
    const at = (ms: number) => judge([commit(1, 'ann', { committedAt: now + ms })], open, now).problems;
    expect(at(5 * 60_000)).toEqual([]);
    expect(at(3_600_000)).toHaveLength(1);
  });

  const guarded: Trust = {
    delegations: [],
    approvals: [{ paths: ['policies/**'], by: ['ann', 'sec', 'cto'], count: 2 }],
  };
  const change = commit(1, 'ann', { changes: ['policies/a.yaml'] });
  const approval = (n: number, signer: string | undefined, of = 1) =>
    commit(n, signer, { approves: [id(of)] });
  test.each([
    ['nobody', [], 1],
    ['one', [approval(2, 'sec')], 1],
    ['one twice', [approval(2, 'sec'), approval(3, 'sec')], 1],
    ['the signer too', [approval(2, 'sec'), approval(3, 'ann')], 1],
    ['somebody who is not asked', [approval(2, 'sec'), approval(3, 'eve')], 1],
    ['another commit', [approval(2, 'sec'), approval(3, 'cto', 9)], 1],
    ['two', [approval(2, 'sec'), approval(3, 'cto')], 0],
  ])('two approvals are wanted; given: %s', (_, approvals, problems) => {
    expect(judge([change, ...approvals], guarded, now).problems).toHaveLength(problems);
  });

  test('an approval that is not signed is a problem, not an approval', () => {
    const { problems, approvers } = judge([change, approval(2, 'sec'), approval(3, undefined)], guarded, now);
    expect(problems).toHaveLength(2);
    expect(approvers).toEqual(['sec']);
  });

  test('a change after the approval needs its own', () => {
    const again = commit(4, 'ann', { changes: ['policies/a.yaml'] });
    const { problems } = judge([change, approval(2, 'sec'), approval(3, 'cto'), again], guarded, now);
    expect(problems).toEqual([expect.stringContaining(`Approves: ${id(4)}`)]);
  });

  test('taking a signature or an approval away never makes a refused history acceptable', () => {
    const signer = fc.constantFrom('ann', 'sec', 'cto', 'shop', undefined);
    const path = fc.constantFrom('policies/a.yaml', 'policies/shop/b.yaml', 'policies/grants/c.yaml');
    const history = fc.array(
      fc.record({
        signer,
        changes: fc.uniqueArray(path),
        approves: fc.uniqueArray(fc.integer({ min: 0, max: 5 })),
      }),
      { maxLength: 6 },
    );
    const trust: Trust = {
      delegations: [{ paths: ['policies/shop/**'], signers: ['shop'] }],
      approvals: [{ paths: ['policies/grants/**'], by: ['ann', 'sec'], count: 1 }],
    };
    fc.assert(
      fc.property(history, fc.nat(5), fc.boolean(), (steps, at, unsign) => {
        const build = (weakened: boolean) =>
          steps.map((step, i) =>
            commit(i, weakened && unsign && i === at ? undefined : step.signer, {
              changes: step.changes,
              approves: (weakened && !unsign && i === at ? [] : step.approves).map(id),
            }),
          );
        const before = judge(build(false), trust, now).problems.length;
        const after = judge(build(true), trust, now).problems.length;
        if (before > 0 && after === 0) throw new Error('weaker evidence was accepted');
        if (before === 0) {
          for (const [i, step] of steps.entries())
            for (const changed of step.changes) {
              if (step.signer === undefined) throw new Error(`${i} is unsigned`);
              const shop = changed.startsWith('policies/shop/');
              if ((step.signer === 'shop') !== shop) throw new Error(`${step.signer} changed ${changed}`);
            }
        }
      }),
    );
  });
});
