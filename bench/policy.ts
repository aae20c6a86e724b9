import { join } from 'node:path';
import type { SecurableName } from '../src/kernel/securable-name.ts';
import { compilePolicy } from '../src/policy/compile.ts';
import { whatCan } from '../src/policy/explain.ts';
import { depth } from '../src/policy/gates.ts';
import type { Snapshot } from '../src/policy/model.ts';
import {
  type Asked,
  buildOpa,
  casbinPeer,
  cedarPeer,
  type OpaProgram,
  opaPeer,
  type Peer,
} from './policy-peers.ts';
import { measureSwap, type Swap } from './policy-swap.ts';
import {
  catalogSnapshot,
  documentsOf,
  type Grant,
  grantsOf,
  type Question,
  questions,
  randomFrom,
  tableCount,
  tables,
  userCount,
  users,
} from './policy-world.ts';
import { type Measure, median, type Report } from './report.ts';

// Decisions at growing numbers of grants, beside peers that hold the same grants; compiling and swapping a large policy.

const sizes = [1_000, 10_000, 100_000, 1_000_000] as const;
const rounds = 5;
/** What a peer scans for each question it bears up to here; beyond it one question takes longer than a benchmark may. */
const scannersBear = 10_000;
const askedOfPeers = 20;
const askedWarm = 10_000;
/** People who are asked about before the rounds; the others come fresh, so many a round. */
const known = 4_000;
const strangersARound = 1_000;

interface Size {
  readonly grants: number;
  readonly compileS: number;
  readonly warm: number;
  /** The first question of a principal ever, and a later one about another table. */
  readonly first: number;
  readonly later: number;
  readonly whatCan: number;
  readonly peers: Readonly<Record<string, number>>;
}

export async function benchPolicy(): Promise<Report> {
  const opa = buildOpa(join(import.meta.dirname, '..', '..', 'bench', 'opa'));
  try {
    await warmUp();
    const found: Size[] = [];
    for (const size of sizes) found.push(await measureSize(size, typeof opa === 'string' ? undefined : opa));
    const swap = await measureSwap();
    const notes = typeof opa === 'string' ? [opa] : [];
    return report(found, swap, notes);
  } finally {
    if (typeof opa !== 'string') opa.close();
  }
}

/** The compiler has seen everything before the first figure is taken. */
async function warmUp(): Promise<void> {
  const { snapshot } = await compiled(grantsOf(5_000));
  for (const [user, table] of questions(20_000, 99)) snapshot.decide(user, 'SELECT', table);
  for (const user of users.slice(0, 20)) whatCan(snapshot, user, 'SELECT');
}

async function compiled(grants: readonly Grant[]): Promise<{ snapshot: Snapshot; seconds: number }> {
  const documents = documentsOf(grants);
  const start = performance.now();
  const { snapshot, findings } = await compilePolicy({
    files: [],
    documents,
    catalog: catalogSnapshot(),
    known: [],
    now: 0,
  });
  if (snapshot === undefined) throw new Error(`the policy does not compile: ${findings[0]?.message}`);
  return { snapshot, seconds: (performance.now() - start) / 1000 };
}

async function measureSize(size: number, opa: OpaProgram | undefined): Promise<Size> {
  const grants = grantsOf(size);
  const { snapshot, seconds } = await compiled(grants);
  const groupsOf = (user: string) => [...snapshot.groupsOf(user as Question[0])];
  const choose = chooser(grants, groupsOf);
  const kept = Array.from({ length: askedWarm }, (_, i) => choose(i % known));
  for (const [user, table] of kept) snapshot.decide(user, 'SELECT', table);
  const world = { grants, asked: kept.slice(0, askedOfPeers), groupsOf };
  const peers: Peer[] = [];
  if (size <= scannersBear) peers.push(await casbinPeer(world), cedarPeer(world));
  if (opa !== undefined) peers.push(opaPeer(opa, world));
  const times = new Map<string, number[]>();
  const note = (name: string, value: number) => times.set(name, [...(times.get(name) ?? []), value]);
  for (let round = 0; round < rounds; round++) {
    note('warm', ask(snapshot, kept).us);
    const strangers = Array.from({ length: strangersARound }, (_, i) => known + round * strangersARound + i);
    const [firsts, laters] = [strangers.map(choose), strangers.map(choose)];
    note('first', ask(snapshot, firsts).us);
    note('later', ask(snapshot, laters).us);
    const start = performance.now();
    whatCan(snapshot, users[userCount - 1 - round] as Question[0], 'SELECT');
    note('what-can', performance.now() - start);
    for (const peer of peers) note(peer.name, sameAnswers(peer, ask(snapshot, world.asked)));
  }
  for (const peer of peers) peer.close();
  const of = (name: string) => median(times.get(name) ?? []);
  return {
    grants: size,
    compileS: seconds,
    warm: of('warm'),
    first: of('first'),
    later: of('later'),
    whatCan: of('what-can'),
    peers: Object.fromEntries(peers.map(({ name }) => [name, of(name)])),
  };
}

/** Every other question is about a table that one of the person's groups was granted, where there is one. */
function chooser(
  grants: readonly Grant[],
  groupsOf: (user: string) => readonly string[],
): (user: number) => Question {
  const random = randomFrom(7);
  const granted = new Map<string, SecurableName[]>();
  for (const { to, on, privilege } of grants)
    if (privilege === 'SELECT') {
      const own = granted.get(to);
      if (own === undefined) granted.set(to, [on]);
      else own.push(on);
    }
  return (user) => {
    const name = users[user] as Question[0];
    const own = groupsOf(name);
    const given = granted.get(own[random(own.length)] ?? '') ?? [];
    const on = random(2) === 0 ? given[random(given.length)] : undefined;
    return [name, on !== undefined && depth(on) === 3 ? on : (tables[random(tableCount)] as SecurableName)];
  };
}

function ask(snapshot: Snapshot, asked: readonly Question[]): Asked {
  const start = performance.now();
  let allowed = 0;
  for (const [user, table] of asked) if (snapshot.decide(user, 'SELECT', table).effect === 'allow') allowed++;
  return { us: ((performance.now() - start) * 1000) / asked.length, allowed };
}

/** A peer that answers otherwise is no measure. */
function sameAnswers(peer: Peer, ours: Asked): number {
  const theirs = peer.ask();
  if (theirs.allowed !== ours.allowed)
    throw new Error(`${peer.name} allows ${theirs.allowed} of the questions, Writ allows ${ours.allowed}`);
  return theirs.us;
}

function report(found: readonly Size[], swap: Swap, notes: readonly string[]): Report {
  const words = (count: number) => (count >= 1_000_000 ? `${count / 1_000_000}M` : `${count / 1_000}k`);
  const row = (
    name: string,
    unit: string,
    ours: number,
    goal?: number,
    peers: Size['peers'] = {},
  ): Measure => ({
    name,
    unit,
    ours,
    ...(goal === undefined ? {} : { goal }),
    peers,
  });
  const each = (name: string, unit: string, of: (size: Size) => number, goal?: number, withPeers = false) =>
    found.map((size) =>
      row(`${name}, ${words(size.grants)} grants`, unit, of(size), goal, withPeers ? size.peers : {}),
    );
  const [smallest, largest] = [found[0], found.at(-1)];
  if (smallest === undefined || largest === undefined) throw new Error('no sizes');
  const growth = largest.warm / smallest.warm;
  return {
    bench: 'policy',
    measures: [
      ...each('decision warm', 'µs', (size) => size.warm, 1, true),
      ...each('decision cold (first ever)', 'µs', (size) => size.first, 50, true),
      ...each('decision cold (other table)', 'µs', (size) => size.later, 50, true),
      row('warm, 1M over 1k', '×', growth),
      row('cold, 1M over 1k', '×', largest.first / smallest.first),
      ...each('what-can, 10k tables, first', 'ms', (size) => size.whatCan, 50),
      ...each('compile from values', 's', (size) => size.compileS),
      row('compile 10k tables from files', 's', swap.compileS, 2),
      row('heap under compile (peak of both)', 'MB', swap.compileMb, 500),
      row('what-can, that policy, first', 'ms', swap.whatCanFirstMs, 50),
      row('what-can, that policy, again', 'ms', swap.whatCanAgainMs, 50),
      ...swap.changes.map(({ name, ms }) => row(`10k sessions: ${name}`, 'ms', ms, 1_000)),
    ],
    keys: {
      decision_warm_us_1m: largest.warm,
      decision_cold_us_1m: largest.first,
      decision_warm_growth: growth,
      compile_s: swap.compileS,
      compile_mb: swap.compileMb,
      what_can_ms: Math.max(swap.whatCanFirstMs, largest.whatCan),
      redecide_10k_sessions_ms: Math.max(...swap.changes.map(({ ms }) => ms)),
    },
    notes: [
      ...notes,
      ...swap.changes.map(({ name, ended }) => `${name}: ${ended} of 10,000 sessions end`),
      'One decision: SELECT on a table with its three gates; 10k tables, 1k nested groups, 10k people in three each.',
      'Cold: the first question of a principal ever; then the first about another table. Peers keep no answers.',
      `casbin and Cedar look at every grant: asked up to ${words(scannersBear)} grants, ${askedOfPeers} questions a round. OPA times itself in a Go program.`,
      `Medians of ${rounds} interleaved rounds; all who are asked must agree on every round's answers.`,
    ],
  };
}
