import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { devCertificate } from '../../src/dev/certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'writ-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const now = Date.now();

describe('the development certificate', () => {
  it.each(['localhost', '127.0.0.1'])('is trusted through its own authority for %s', async (host) => {
    const made = devCertificate(folder, now);
    const server = createServer({ cert: made.certificate, key: made.key }, (socket) => socket.end()).listen(
      0,
    );
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const socket = connect({
      host: '127.0.0.1',
      port,
      servername: host === 'localhost' ? host : '',
      ca: made.ca,
    });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    socket.destroy();
    server.close();
  });

  it('is kept between starts, with a private key', async () => {
    const first = devCertificate(folder, now);
    expect(devCertificate(folder, now)).toEqual(first);
    expect(statSync(first.keyFile).mode & 0o777).toBe(0o600);
  });

  it('is made again before it ends', async () => {
    const first = devCertificate(folder, now);
    const later = devCertificate(folder, now + 340 * 86_400_000);
    expect(later.certificate).not.toBe(first.certificate);
  });
});
