import { test } from 'vitest';
import { driftCluster } from '../../src/rolesync/reconcile.ts';
import { governedShop, withModify } from './rolesync-shop.ts';
test('x', async () => {
  const s = await governedShop();
  try {
  const snapshot = await s.snapshot(process.env['MODIFY'] ? withModify : undefined);
  let t = performance.now();
  const plan = await s.plan(snapshot);
  console.log('plan ms', performance.now() - t);
  for (const o of plan.operations) console.log(o.effect, '|', o.words, '|', process.env['V'] ? o.sql : '');
  console.log(plan.notEnforced);
  t = performance.now();
  await s.apply(snapshot);
  console.log('apply ms', performance.now() - t);
  const second = await s.plan(snapshot);
  console.log('SECOND', second.operations.map((o) => o.words + o.sql));
  console.log(await driftCluster(s.target(snapshot)));
  } catch (e) { console.log(e); throw e; } finally { await s.stop(); }
});
