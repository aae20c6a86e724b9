import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { WritError } from '../../kernel/errors.ts';

/** The protocol's name in ALPN: a TLS client that means another protocol is turned away (ALPACA). */
const alpn = 'postgresql';

/**
 * The server's side of a TLS handshake on a socket that nothing reads. `direct`: the client began with TLS instead of
 * asking for it, and must name the protocol. @throws protocol_violation
 */
export function secure(socket: Socket, context: SecureContext, direct: boolean): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const tls = new TLSSocket(socket, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: [alpn],
    });
    const fail = (cause?: unknown): void => {
      tls.off('error', fail).off('close', fail);
      // A handshake that fails may leave an error behind that nobody else waits for.
      tls.on('error', () => tls.destroy());
      reject(new WritError('protocol_violation', { message: 'TLS could not be agreed', cause }));
    };
    tls.on('error', fail).on('close', fail);
    tls.once('secure', () => {
      if (direct && tls.alpnProtocol !== alpn) {
        fail(new Error(`direct TLS needs ALPN ${alpn}`));
        tls.destroy();
        return;
      }
      tls.off('error', fail).off('close', fail);
      resolve(tls);
    });
  });
}
