// A process of its own that starts the embedded Postgres of a home folder and then waits to be killed by its test.
import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

const source = fileURLToPath(new URL('../../src/dev/embedded-postgres.ts', import.meta.url));
const loader = await createViteServer({
  configFile: false,
  logLevel: 'silent',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { startEmbeddedPostgres } = await loader.ssrLoadModule(source);
const server = await startEmbeddedPostgres({ home: process.argv[2], port: 0 });
process.stdout.write(`${JSON.stringify(server)}\n`);
setInterval(() => {}, 1000);
