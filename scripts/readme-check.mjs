// Runs the README's own commands: every line of its ```sh blocks that starts with `npm ` or `npx writ `, in order, on a
// fresh home. `npm start` runs in the background until the others are done, and must be ready within `readyWithin`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap((block) => block[1].split('\n'))
  .map((line) => line.replace(/\s+#.*$/, '').trim())
  .filter((line) => /^(npm start|npx writ )/.test(line));
const home = mkdtempSync(join(tmpdir(), 'writ-readme-'));
const env = {
  ...process.env,
  WRIT_HOME: home,
  WRIT_HTTP_PORT: '0',
  WRIT_PG_PORT: '0',
  WRIT_CLUSTER_PORT: '0',
  WRIT_IDP_PORT: '0',
};
// Exit codes that the README announces: 2 changes pending, 1 findings or refused.
const expected = new Map(
  [...readme.matchAll(/^(npx writ .*?)\s+# exit (\d)/gm)].map((match) => [match[1].trim(), Number(match[2])]),
);

const readyWithin = 10;
/** What the README shows of a command's output: the command's beginning, and what is wrong with an output. */
const shown = new Map([
  ['npx writ psql shop --as ana@acme.test', customersOfAna],
  ['npx writ psql lake --as ana@acme.test', historyOfAna],
]);

/** Rows of an aligned table. */
function rowsOf(output) {
  const lines = output.split('\n').filter((line) => line.includes('|'));
  return lines.slice(1).map((line) => line.split('|').map((cell) => cell.trim()));
}

function customersOfAna(output) {
  const rows = rowsOf(output);
  if (rows.length !== 3) return `${rows.length} rows, expected 3`;
  for (const [, email, , region] of rows) {
    if (!/^.\*\*\*@\*\*\*$/.test(email)) return `an e-mail that is not masked: ${email}`;
    if (region !== 'EMEA') return `a row of ${region}`;
  }
  return undefined;
}

function historyOfAna(output) {
  const rows = rowsOf(output);
  if (rows.length !== 1) return `${rows.length} rows, expected 1`;
  const [region, , email] = rows[0];
  if (region !== 'EMEA') return `a row of ${region}`;
  return /^.\*\*\*@\*\*\*$/.test(email) ? undefined : `an e-mail that is not masked: ${email}`;
}

function groupLives(pid) {
  try {
    return process.kill(-pid, 0);
  } catch {
    return false;
  }
}

let instance;
let bad = 0;
let compared = 0;
for (const command of commands) {
  if (command.startsWith('npm start')) {
    const started = Date.now();
    instance = spawn('npm', ['start'], { env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    while (!existsSync(join(home, 'endpoints.json'))) {
      if (instance.exitCode !== null || Date.now() - started > 60_000) {
        console.error('README: npm start did not become ready');
        process.exit(1);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const seconds = (Date.now() - started) / 1000;
    console.log(`README: ready after ${seconds.toFixed(1)} s`);
    if (seconds > readyWithin) {
      bad++;
      console.error(`README: npm start took longer than ${readyWithin} s`);
    }
    continue;
  }
  const ran = spawnSync('bash', ['-c', command], { env, encoding: 'utf8', input: '' });
  const want = expected.get(command) ?? 0;
  if (ran.status !== want) {
    bad++;
    console.error(`README: ${command}\n  exit ${ran.status}, expected ${want}\n${ran.stdout}${ran.stderr}`);
    continue;
  }
  const compare = [...shown].find(([beginning]) => command.startsWith(beginning))?.[1];
  const difference = compare?.(ran.stdout);
  if (compare !== undefined) compared++;
  if (difference !== undefined) {
    bad++;
    console.error(`README: ${command}\n  ${difference}\n${ran.stdout}`);
  } else console.log(`README: ${command}`);
}
if (compared !== shown.size) {
  bad++;
  console.error(`README: ${compared} of ${shown.size} outputs could be compared`);
}
if (instance !== undefined) {
  process.kill(-instance.pid, 'SIGTERM');
  // npm ends before the program does, which still writes to its home.
  while (groupLives(instance.pid)) await new Promise((resolve) => setTimeout(resolve, 50));
}
rmSync(home, { recursive: true, force: true });
console.log(`README: ${commands.length} commands, ${bad} wrong`);
process.exit(bad === 0 && commands.length > 3 ? 0 : 1);
