// Appends statement after statement and prints the number of each once it is told that the record is written.
import { writeSync } from 'node:fs';
import { openAuditLog } from './audit/log.js';

const log = openAuditLog({
  folder: process.argv[2],
  writer: 'gateway',
  clock: { now: () => Date.now() },
  segmentBytes: 50_000_000,
});
let n = 0;
let refused = false;

function say(line) {
  writeSync(1, `${line}\n`);
}

function statement(number) {
  const place = log.append({
    kind: 'statement.begin',
    statementId: String(number),
    statement: 'select ?',
    command: 'SELECT',
    tables: [],
    columns: [],
  });
  log.whenWritten(place, (error) => {
    if (error === undefined) say(number);
  });
}

function turn() {
  try {
    for (let i = 0; i < 20; i++) statement(++n);
    if (refused) say('again');
    refused = false;
  } catch (error) {
    if (!refused) say('refused');
    refused = error.code === 'record_not_writable';
  }
  setTimeout(turn, refused ? 20 : 0);
}

say('ready');
turn();
