import { createServer } from 'node:net';
import { WritError } from '../kernel/errors.ts';

const loopback = '127.0.0.1';

/**
 * A port that can be listened on now: the wanted one, or a free one for 0.
 * @throws invalid_config naming the setting to change when the port is in use
 */
export function usablePort(wanted: number, setting: string): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, wanted, setting)));
    server.listen({ host: loopback, port: wanted, exclusive: true }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : wanted;
      server.close(() => resolve(port));
    });
  });
}

/** What `listen` on the loopback interface failed with, in words; for every server of this program. */
export function portError(error: unknown, port: number, setting: string): WritError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const why =
    code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'is not allowed' : 'cannot be listened on';
  return new WritError('invalid_config', {
    message: `port ${port} on ${loopback} ${why}`,
    hint: `set ${setting} to another port, or to 0 for a free one`,
    cause: error,
  });
}
