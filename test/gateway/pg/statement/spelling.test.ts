import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { govern, loadParser, outcome, partOf, writer } from './sample.ts';

loadParser();

// The same statement in any spelling reads and writes the same targets. Words are given as tokens; `~name` may be
// quoted, escaped or written in any case; between tokens stands any white space and comment.

const statements = [
  'select ~id , c . ~email from ~customers c where ~region = 1',
  'select ~public . ~customers . ~email from ~shop . ~public . ~customers',
  'with ~x as ( select * from ~orders ) select * from ~x , ~public . ~countries',
  'insert into ~public . ~orders ( ~id ) select ~id from ~customers',
  'update ~orders set ~amount = 1 from ~public . ~countries where ~public . ~orders . ~id = 2',
  'delete from ~orders using ~customers c where c . ~id = ~orders . ~customer_id returning ~public . ~orders . *',
  'copy ~public . ~customers ( ~id , ~email ) to stdout',
  'select ~public . ~region_total ( 1 ) , ~region_total ( 2 )',
  'prepare p as select * from ~customers for update of ~customers',
];

const gap = fc.constantFrom(' ', '\n', '\t', '\f', '\r\n', ' /* , . " */ ', " --'x\n", '/* /* */ */', '  ');

function spell(word: string): fc.Arbitrary<string> {
  if (!word.startsWith('~')) return fc.constantFrom(word, word.toUpperCase());
  const name = word.slice(1);
  const escaped = `U&"${[...name].map((c) => `\\${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
  const mixed = [...name].map((c, i) => (i % 2 === 0 ? c.toUpperCase() : c)).join('');
  return fc.constantFrom(name, name.toUpperCase(), mixed, `"${name}"`, escaped);
}

function spellings(statement: string): fc.Arbitrary<string> {
  const words = statement.split(' ').map((word) => fc.tuple(spell(word), gap));
  return fc.tuple(...words).map((parts) => parts.flat().join(''));
}

/** Upper case for quoted or unquoted words alike: only what was decided is compared. */
function essence(text: string) {
  const query = govern(text, writer);
  const part = partOf(query);
  return {
    names: query.text.match(/"(?:writ_)?public\w*"\."\w+"/g) ?? outcome(query),
    tables: [...part.tables].sort(),
    columns: [...part.columns].sort(),
    effect: part.decision.effect,
  };
}

describe('spelling', () => {
  test.each(statements)('%s', (statement) => {
    const plain = essence(statement.replaceAll('~', ''));
    expect(plain.effect).toBe('allow');
    fc.assert(
      fc.property(spellings(statement), (text) => {
        expect({ text, ...essence(text) }).toEqual({ text, ...plain });
      }),
      { numRuns: 150 },
    );
  });
});
