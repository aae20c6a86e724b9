import { describe, expect, test } from 'vitest';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';
import { compile, policyOf, salaries } from './model-fixture.ts';

// The model of tags, row filters and masks, one case per statement of it.

const tags = `
kind: tags
tags: { pii: { values: [email, backup] }, level: { values: [high, low] }, residency: {} }
assign:
  - { on: finance, tags: { level: low } }
  - { on: finance.hr, tags: { level: high }, comment: below }
  - { on: finance.hr.reviews, tags: { level: low } }
  - { on: [${salaries}.mail, finance.hr.reviews.mail, finance.ops.assets.mail, lake.raw.events.mail], tags: { pii: email } }
  - { on: ${salaries}.backup_mail, tags: { pii: backup } }
  - { on: [${salaries}.region, finance.hr.reviews.region], tags: { residency: region } }
require: [{ columnsLike: "*mail*", tag: pii, comment: no look-alike }]
`;
const policy = (...entries: readonly string[]) =>
  `kind: policies\npolicies:\n${entries.map((entry) => `  - { ${entry}, comment: why }`).join('\n')}\n`;
const mask = (more: string) => `name: m, columnMask: "'x'", ${more}`;
const filter = (more: string) => `name: f, rowFilter: "r = 'x'", match: { r: { residency: true } }, ${more}`;
const email = 'match: { value: { pii: email } }';

describe('tags and what a policy covers', () => {
  /** Tables and columns that are ruled for somebody, as `table: policies`. */
  const covered = async (who: string, text: string) => {
    const snapshot = await policyOf(tags, text);
    return [...snapshot.catalog.tables.keys()].flatMap((on) => {
      const { filters, masks } = snapshot.boundRules(parsePrincipalName(who), on);
      return [
        ...filters.map(() => `${on} rows`),
        ...[...masks.keys()].sort().map((column) => `${on}.${column}`),
      ];
    });
  };

  test.each<[string, string, readonly string[]]>([
    [
      'tags inherit, and the lower overrides',
      mask(`on: finance, when: { level: high }, ${email}, to: all users`),
      [`${salaries}.mail`],
    ],
    [
      'whatever the value',
      mask(`on: finance, when: { level: true }, ${email}, to: all users`),
      [`${salaries}.mail`, 'finance.hr.reviews.mail', 'finance.ops.assets.mail'],
    ],
    [
      'one of several values',
      mask('on: metastore, match: { value: { pii: [backup] } }, to: all users'),
      [`${salaries}.backup_mail`],
    ],
    [
      'value may find several columns: each is masked by itself',
      mask(`on: ${salaries}, match: { value: { pii: true } }, to: all users`),
      [`${salaries}.backup_mail`, `${salaries}.mail`],
    ],
    [
      "columns go by their own tags, never by their table's",
      mask('on: metastore, match: { value: { level: true } }, to: all users'),
      [],
    ],
    [
      'a name that finds no column: the policy does not apply there',
      filter('on: metastore, to: all users'),
      [`${salaries} rows`, 'finance.hr.reviews rows'],
    ],
    ['a list of securables', filter(`on: [${salaries}, lake], to: all users`), [`${salaries} rows`]],
    [
      'clusters that carry the label',
      filter('on: metastore, to: all users, clusters: { tier: production }'),
      [`${salaries} rows`, 'finance.hr.reviews rows'],
    ],
    ['clusters that do not', filter('on: metastore, to: all users, clusters: { tier: test }'), []],
    ['whoever is not in `to` is not bound', filter('on: metastore, to: analysts'), []],
    ['except, by name', filter('on: metastore, to: all users, except: nobody@x.io'), []],
  ])('%s', async (_title, text, expected) => {
    expect(await covered('nobody@x.io', policy(text))).toEqual(expected);
  });

  test('except reaches through any chain of groups', async () => {
    const text = policy(filter('on: metastore, to: all users, except: analysts'));
    expect(await covered('erin@x.io', text)).toEqual([]);
    expect(await covered('lonely', text)).toHaveLength(2);
  });

  test('several row filters: all hold; several masks: the stronger, then the one set higher up', async () => {
    const text = policy(
      filter('on: metastore, to: all users'),
      filter(`on: ${salaries}, to: all users`).replace('name: f', 'name: g'),
      mask(`on: ${salaries}, ${email}, to: all users`),
      mask(`on: metastore, ${email}, to: all users`).replace('name: m', 'name: above'),
      mask(`on: finance.ops.assets, ${email}, to: all users, strength: 1`).replace(
        'name: m',
        'name: stronger',
      ),
    );
    const snapshot = await policyOf(tags, text);
    const bound = (on: string) => snapshot.boundRules(parsePrincipalName('nobody@x.io'), name(on));
    expect(bound(salaries).filters.map((rule) => rule.policy)).toEqual(['f', 'g']);
    expect(bound(salaries).masks.get('mail')?.policy).toBe('above');
    expect(bound('finance.ops.assets').masks.get('mail')?.policy).toBe('stronger');
  });

  test.each([
    [
      'any other name that finds several',
      policy(`name: f, on: metastore, rowFilter: "r = 'x'", match: { r: { pii: true } }, to: all users`),
      'policy f: r matches several columns of finance.hr.salaries: mail, backup_mail',
    ],
    [
      'masks of one strength in one scope that can meet',
      policy(
        mask(`on: finance, ${email}, to: analysts`),
        mask(`on: finance, ${email}, to: experts`).replace('name: m', 'name: n'),
      ),
      'masks m and n have equal strength on finance.hr.salaries.mail and can bind the same person',
    ],
    [
      'an unbound name',
      policy(
        `name: f, on: metastore, rowFilter: "q = 'x'", match: { r: { residency: true } }, to: all users`,
      ),
      expect.stringMatching(/^"q" is bound by no "match"/),
    ],
    [
      'a look-alike without its tag',
      'kind: tags\nrequire: [{ columnsLike: "reg*", tag: pii }]\n',
      'column finance.ops.assets.region looks like "reg*" but has no tag pii',
    ],
    [
      'two values of one tag',
      `kind: tags\nassign: [{ on: ${salaries}.mail, tags: { pii: backup } }]\n`,
      'tag pii has two values on finance.hr.salaries.mail: email and backup',
    ],
  ])('%s is an error', async (_title, text, message) => {
    const { snapshot, findings } = await compile(tags, text);
    expect(snapshot).toBeUndefined();
    const errors = findings.filter(({ severity }) => severity === 'error').map((finding) => finding.message);
    expect(errors).toEqual(expect.arrayContaining([message]));
  });
});
