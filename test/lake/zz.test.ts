import { it } from 'vitest';
import { mkdtempSync, appendFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';
import { systemSource, systemCatalog } from '../../src/lake/system-catalog.ts';
import { openLakeEngine } from '../../src/lake/open-engine.ts';
import { openAuditLog } from '/work/main/src/audit/log.ts';
import { systemClock } from '/work/main/src/kernel/clock.ts';
import { people } from '../policy/fixture.ts';
import { lake, makeLake, rowsOf, sampleSnapshot } from './sample.ts';
it('x', async () => {
  const folder = mkdtempSync('/tmp/lk/aud-');
  const audit = openAuditLog({ folder, writer: 'test', clock: systemClock }); audit.flush();
  const i = await DuckDBInstance.create(':memory:'); const c = await i.connect();
  console.log((await c.runAndReadAll(`select json_serialize_sql('select ''é'', x from system.access.audit')`)).getRowsJson()[0][0]);
  for (const add of ['99\tabc\tdef\tghi\t{"kind":"torn","id":"', '\n100\tabc']) { appendFileSync(folder+'/test/0000000000000001.log', add);
  try { const r = await c.runAndReadAll(`select count(*) from (${systemSource(systemCatalog().tables[0].name, folder).text}) as base`); console.log(r.getRowsJson()); } catch (e) { console.log(e.message) } }
  const location = await makeLake(); const snapshot = await sampleSnapshot({ lake: location }); const engine = openLakeEngine({ limits: { spares: 1 } }); const ana = await engine.open(lake, people.ana);
    const traps = [
      "(case when region = 'EMEA' then '1' else region end)::int = 1",
      "cast(replace(region, 'EMEA', '1') as int) = 1",
      "strptime(replace(region, 'EMEA', '2024'), '%Y') is not null",
      "list_transform([region], x -> replace(x, 'EMEA', '1')::int)[1] = 1",
      "order_id % 3 = 0 and replace(region, 'EMEA', '1')::int = 1",
      "(select max(replace(x.r, 'EMEA', '1')::int) from (select o.region as r) x) = 1",
    ];
    const shapes = [
      (trap: string) => `select count(*) from orders_history o where ${trap}`,
      (trap: string) => `select count(*) from (select * from orders_history) o where ${trap}`,
      (trap: string) => `select count(*) from orders_history o join orders_history p using (order_id) where ${trap.replaceAll(/(?<!o\.)region/g, 'o.region').replaceAll(/(?<!\.)order_id/g, 'o.order_id')}`,
      (trap: string) => `with x as (select * from orders_history) select count(*) from x o where ${trap}`,
      (trap: string) => `select count(*) from orders_history o where order_id >= 0 and ${trap}`,
    ];
    for (const shape of shapes) for (const trap of traps) { const text = shape(trap); try { const r = await rowsOf(ana, snapshot, text); if (r[0][0] !== '100') console.log(text, r); } catch (e) { console.log(text, e.cause); } }
  await engine.close();
});
