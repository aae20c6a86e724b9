import { execFileSync } from 'node:child_process';
import { SessionRegistry } from '../src/gateway/pg/sessions.ts';
import { metastore } from '../src/kernel/securable-name.ts';
import { compileFiles } from '../src/policy/compile.ts';
import { whatCan } from '../src/policy/explain.ts';
import type { PolicyFile, Snapshot } from '../src/policy/model.ts';
import { planPolicy } from '../src/policy/plan.ts';
import { catalogSnapshot, catalogs, policyTexts, users } from './policy-world.ts';
import { median } from './report.ts';

// Compiling a policy of 10k tables, 1k groups and 10k people, and what its change costs, in a process of its own that has
// 500 MB of heap: `node … policy-swap.js --measure` prints the figures.

export interface Swap {
  readonly compileS: number;
  readonly compileMb: number;
  readonly whatCanFirstMs: number;
  readonly whatCanAgainMs: number;
  readonly changes: readonly { readonly name: string; readonly ms: number; readonly ended: number }[];
}

const heapMb = 500;

export async function measureSwap(): Promise<Swap> {
  const node = ['--expose-gc', `--max-old-space-size=${heapMb}`, import.meta.filename, '--measure'];
  return JSON.parse(execFileSync(process.execPath, node, { encoding: 'utf8' })) as Swap;
}

const grants = 5_000;
const rounds = 5;

type Change = readonly [name: string, edit: (text: string) => string];

const changes: readonly Change[] = [
  [
    'one grant goes',
    (text) => (text.startsWith('kind: grants') ? text.slice(0, text.lastIndexOf('\n')) : text),
  ],
  ['a catalog is closed to a top group', (text) => text.replace('to: [g0, g1, g2, ', 'to: [g0, g2, ')],
  [
    'a mask says something else',
    (text) => text.replace("left(value, 1) || '***'", "left(value, 2) || '***'"),
  ],
];

async function measure(): Promise<Swap> {
  const files = policyTexts(grants);
  const catalog = catalogSnapshot();
  const compile = async (texts: readonly PolicyFile[]): Promise<Snapshot> => {
    const { snapshot, findings } = await compileFiles(texts, catalog, [], 0);
    if (snapshot === undefined) throw new Error(`the policy does not compile: ${findings[0]?.message}`);
    return snapshot;
  };
  collect();
  const before = process.memoryUsage().heapUsed;
  let peak = 0;
  const seconds: number[] = [];
  let old = await compile(files);
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const next = await compile(files);
    seconds.push((performance.now() - start) / 1000);
    peak = Math.max(peak, process.memoryUsage().heapUsed);
    old = next;
  }
  const firsts = users.slice(0, 2 * rounds).map((user) => timed(() => whatCan(old, user, 'SELECT')));
  const agains = users.slice(0, 2 * rounds).map((user) => timed(() => whatCan(old, user, 'SELECT')));
  const swapped: { name: string; ms: number; ended: number }[] = [];
  for (const [name, edit] of changes) {
    const edited = files.map((file) => ({ ...file, text: edit(file.text) }));
    const found: { ms: number; ended: number }[] = [];
    for (let round = 0; round < 1; round++) found.push(redecide(await compile(files), await compile(edited)));
    swapped.push({ name, ms: median(found.map(({ ms }) => ms)), ended: found[0]?.ended ?? 0 });
  }
  return {
    compileS: median(seconds),
    compileMb: (peak - before) / 2 ** 20,
    whatCanFirstMs: median(firsts),
    whatCanAgainMs: median(agains),
    changes: swapped,
  };
}

/** From two snapshots to the sessions that are over, as the doors do it; nothing of either was asked before. */
function redecide(from: Snapshot, to: Snapshot): { ms: number; ended: number } {
  const registry = new SessionRegistry(() => 0);
  let ended = 0;
  for (const [i, principal] of users.entries())
    registry.add({
      info: {
        id: String(i),
        principal,
        credential: 'bench',
        catalog: catalogs[0] ?? metastore,
        client: { address: '127.0.0.1' },
        startedAt: 0,
        expiresAt: 1,
        settings: new Map(),
      },
      backendPid: i,
      state: () => 'idle',
      statements: () => 0,
      end: () => {
        ended++;
      },
    });
  const ms = timed(() => {
    const { shrunk } = planPolicy(from, to);
    registry.endWhere((session) => shrunk.has(session.principal), 'your rights changed; connect again');
  });
  return { ms, ended };
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

if (process.argv.includes('--measure')) console.log(JSON.stringify(await measure()));
