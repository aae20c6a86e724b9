import { benchGateway } from './gateway.ts';
import { benchPolicy } from './policy.ts';
import { formatReport, machineFacts, type Report } from './report.ts';

// `npm run bench -- NAME [--json]`: peers beside us in one run, interleaved; medians and ratios, never assertions.

const benches: Readonly<Record<string, () => Promise<Report>>> = {
  gateway: benchGateway,
  policy: benchPolicy,
};

const [name = ''] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const bench = benches[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- NAME [--json]   (NAME: ${Object.keys(benches).join(', ')})`);
  process.exitCode = 64;
} else {
  const report = await bench();
  const asJson = process.argv.includes('--json');
  console.log(
    asJson
      ? JSON.stringify({ machine: machineFacts(), ...report.keys, ...report }, null, 2)
      : formatReport(report),
  );
}
