// Runs the README's own commands: every line of its ```sh blocks that starts with `npm ` or `npx writ `, in order, on a
// fresh home. `npm start` runs in the background until the others are done.
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

let instance;
let bad = 0;
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
    console.log(`README: ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    continue;
  }
  const ran = spawnSync('bash', ['-c', command], { env, encoding: 'utf8', input: '' });
  const want = expected.get(command) ?? 0;
  if (ran.status !== want) {
    bad++;
    console.error(`README: ${command}\n  exit ${ran.status}, expected ${want}\n${ran.stdout}${ran.stderr}`);
  } else console.log(`README: ${command}`);
}
if (instance !== undefined) {
  process.kill(-instance.pid, 'SIGTERM');
  await new Promise((resolve) => instance.once('exit', resolve));
}
rmSync(home, { recursive: true, force: true });
console.log(`README: ${commands.length} commands, ${bad} wrong`);
process.exit(bad === 0 && commands.length > 3 ? 0 : 1);
