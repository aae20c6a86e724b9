import { child } from '../kernel/securable-name.ts';
import type { CheckInput } from './check.ts';
import type { Placed, RequireEntry, TagCondition, TagEntry } from './document.ts';
import { didYouMean, type Findings } from './findings.ts';

/** Undeclared tags and values, two values for one tag on one securable, columns that look like tagged ones. */
export function checkTags(input: CheckInput, findings: Findings): void {
  const { documents } = input;
  const tags = new Map(documents.tags.map((tag) => [tag.name.value, tag]));
  const expect = (tag: Placed<string>, values: readonly Placed<string>[]) =>
    checkTag(tags, tag, values, findings);
  const conditions = (list: readonly TagCondition[]) => {
    for (const { tag, values } of list) expect(tag, values === true ? [] : values);
  };
  for (const entry of documents.assign) for (const { tag, value } of entry.tags) expect(tag, [value]);
  for (const entry of documents.require) expect(entry.tag, []);
  for (const policy of documents.policies) {
    conditions(policy.when);
    for (const { conditions: own } of policy.match) conditions(own);
  }
  for (const invariant of documents.invariants)
    if (invariant.claim !== 'onlyFor') conditions(invariant.forall);
  checkOneValue(input, findings);
  for (const entry of documents.require) checkRequired(entry, input, findings);
}

function checkTag(
  tags: ReadonlyMap<string, TagEntry>,
  tag: Placed<string>,
  values: readonly Placed<string>[],
  findings: Findings,
): void {
  const declared = tags.get(tag.value);
  if (declared === undefined) {
    const close = didYouMean(tag.value, tags.keys());
    findings.error('unknown-tag', tag.at, `no such tag ${JSON.stringify(tag.value)}${close}`);
    return;
  }
  const allowed = declared.values;
  if (allowed === undefined) return;
  for (const value of values) {
    if (allowed.includes(value.value)) continue;
    const close = didYouMean(value.value, allowed);
    const message = `tag ${tag.value} has no value ${JSON.stringify(value.value)}${close}`;
    findings.error('unknown-tag-value', value.at, message, `values: ${allowed.join(', ')}`);
  }
}

function checkOneValue({ documents }: CheckInput, findings: Findings): void {
  const first = new Map<string, string>();
  for (const entry of documents.assign)
    for (const on of entry.on)
      for (const { tag, value } of entry.tags) {
        const key = JSON.stringify([on.value, tag.value]);
        const before = first.get(key);
        if (before !== undefined && before !== value.value) {
          const message = `tag ${tag.value} has two values on ${on.value}: ${before} and ${value.value}`;
          findings.error('two-tag-values', value.at, message);
        }
        first.set(key, before ?? value.value);
      }
}

/** Tables only: a view shows what its tables hold, and their columns carry the tags. */
function checkRequired(entry: RequireEntry, { catalog, tags }: CheckInput, findings: Findings): void {
  for (const pattern of entry.columnsLike) {
    const like = globPattern(pattern.value);
    for (const table of catalog.tables.values()) {
      if (table.kind === 'VIEW' || table.kind === 'MATERIALIZED_VIEW') continue;
      for (const column of table.columns) {
        if (!like.test(column.name) && !like.test(plainLetters(column.name))) continue;
        const name = child(table.name, column.name);
        if (tags.own(name).has(entry.tag.value)) continue;
        const message = `column ${name} looks like ${JSON.stringify(pattern.value)} but has no tag ${entry.tag.value}`;
        findings.error('untagged-look-alike', pattern.at, message, `assign ${entry.tag.value} to it`);
      }
    }
  }
}

/** `*` any characters, `?` one; letters of either case. */
function globPattern(glob: string): RegExp {
  const body = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '[^]*')
    .replaceAll('?', '[^]');
  return new RegExp(`^${body}$`, 'iu');
}

/** Letters of other scripts that are drawn as these, in lower case (Unicode Technical Standard 39, confusables). */
const drawnAlike = new Map(
  Object.entries({
    a: 'аαɑ',
    c: 'сϲ',
    d: 'ԁ',
    e: 'еєҽ',
    g: 'ɡց',
    h: 'һհ',
    i: 'іιıɩ',
    j: 'јϳ',
    k: 'кκ',
    l: 'ӏ',
    m: 'м',
    n: 'ոη',
    o: 'оοօ',
    p: 'рρ',
    q: 'ԛ',
    r: 'г',
    s: 'ѕ',
    t: 'тτ',
    u: 'սυ',
    v: 'νѵ',
    w: 'ԝω',
    x: 'хχ',
    y: 'уүγ',
  }).flatMap(([plain, others]) => [...others].map((other): [string, string] => [other, plain])),
);

/** Capitals whose small letters look otherwise. */
const capitalsAlike = new Map(
  [...'ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕКМНОРСТХУІЅЈ'].map((letter, i): [string, string] => [
    letter,
    'ABEZHIKMNOPTYXABEKMHOPCTXYISJ'[i] ?? letter,
  ]),
);

/** A name as it looks: without marks and signs that are not drawn, wide letters narrow, look-alikes as the letter. */
function plainLetters(name: string): string {
  const narrow = [...name.normalize('NFKD')].map((letter) => capitalsAlike.get(letter) ?? letter).join('');
  const drawn = narrow.replaceAll(/[\p{M}\p{Cf}]/gu, '').toLowerCase();
  return [...drawn].map((letter) => drawnAlike.get(letter) ?? letter).join('');
}
