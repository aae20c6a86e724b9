import { cpus, totalmem } from 'node:os';

/** One measure: ours, each peer, and ours over the peer. Medians over interleaved rounds. */
export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  /** At most, in the same unit. */
  readonly goal?: number;
  readonly peers: Readonly<Record<string, number>>;
}

export interface Report {
  readonly bench: string;
  readonly measures: readonly Measure[];
  /** The figures that goals and releases are compared by. */
  readonly keys?: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function machineFacts(): object {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

/** A table for people: every peer's figure and the ratio to it. */
export function formatReport(report: Report): string {
  const peers = [...new Set(report.measures.flatMap((measure) => Object.keys(measure.peers)))];
  const goals = report.measures.some((measure) => measure.goal !== undefined);
  const goalOf = ({ goal }: Measure) => (goals ? [goal === undefined ? '–' : `≤ ${goal}`] : []);
  const head = [
    'measure',
    'unit',
    'writ',
    ...(goals ? ['goal'] : []),
    ...peers.flatMap((peer) => [peer, `writ/${peer}`]),
  ];
  const rows = report.measures.map((measure) => [
    measure.name,
    measure.unit,
    format(measure.ours),
    ...goalOf(measure),
    ...peers.flatMap((peer) => {
      const value = measure.peers[peer];
      return value === undefined ? ['–', '–'] : [format(value), (measure.ours / value).toPrecision(2)];
    }),
  ]);
  const width = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(width[i] ?? 0) : cell.padStart(width[i] ?? 0))).join('  ');
  return [
    `${report.bench}: ${JSON.stringify(machineFacts())}`,
    line(head),
    ...rows.map(line),
    ...report.notes,
  ].join('\n');
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
