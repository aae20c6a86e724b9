import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { begin, temporaryFolder, testLog } from './fixture.ts';

test('DuckDB reads the segments as they are, whatever was recorded', async () => {
  const folder = temporaryFolder();
  const log = testLog(folder, { segmentBytes: 1_000 });
  const odd = ['a # b', '\t"\'\\\n', '\ud800', '\0', '😀 ü \u202e', '#', '-', ''];
  for (const [n, statement] of odd.entries()) {
    log.append({ ...begin(n), statement, message: statement } as ReturnType<typeof begin>);
    log.flush();
  }
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const columns =
    "{'seq': 'BIGINT', 'leaf': 'VARCHAR', 'chain': 'VARCHAR', 'salt': 'VARCHAR', 'payload': 'VARCHAR'}";
  const read = `read_csv('${folder}/*/*.log', delim='\t', quote='', escape='', comment='#', header=false, auto_detect=false, columns=${columns})`;
  const kind = "json_extract_string(payload, '$.kind')";
  const rows = await connection.runAndReadAll(
    `select json_extract_string(payload, '$.statement') from ${read} where ${kind} = 'statement.begin' order by seq`,
  );
  expect(rows.getRows().map(([statement]) => statement)).toEqual(
    odd.map((text) => text.replace(/[\0\u202e\ud800-\udfff]/gu, '\ufffd')),
  );
  connection.closeSync();
});
