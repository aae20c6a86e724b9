import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { WritError } from '../../kernel/errors.ts';
import { Inlet } from './inlet.ts';
import { secure } from './secure.ts';
import { decodeStartupPacket, type StartupPacket } from './startup.ts';

/** What a connection turned out to want. */
export type Negotiated =
  | {
      readonly kind: 'startup';
      readonly packet: Extract<StartupPacket, { kind: 'startup' }>;
      /** The socket to go on with: TLS or plain. */
      readonly socket: Socket;
      readonly inlet: Inlet;
      readonly encrypted: boolean;
    }
  | { readonly kind: 'cancel'; readonly socket: Socket; readonly pid: number; readonly key: Buffer };

/**
 * Everything before the startup packet: direct TLS, SSLRequest and GSSENCRequest, each at most once and never inside
 * TLS. @returns undefined when the client left. @throws protocol_violation
 */
export async function negotiate(
  plain: Socket,
  context: () => SecureContext,
  onSocket: (socket: Socket) => void,
): Promise<Negotiated | undefined> {
  let socket = plain;
  let inlet = new Inlet(socket);
  const asked = { tls: false, gss: false };
  const encrypt = async (direct: boolean): Promise<void> => {
    inlet.release();
    socket = await secure(plain, context(), direct);
    onSocket(socket);
    inlet = new Inlet(socket);
    asked.tls = true;
  };
  if ((await inlet.peek()) === 0x16) await encrypt(true);
  for (;;) {
    const bytes = await inlet.packet();
    if (bytes === undefined) return undefined;
    const packet = decodeStartupPacket(bytes);
    switch (packet.kind) {
      case 'ssl-request':
        if (asked.tls) throw repeated('SSLRequest');
        nothingBehind(inlet, 'SSLRequest');
        plain.write('S');
        await encrypt(false);
        break;
      case 'gss-request':
        if (asked.gss || asked.tls) throw repeated('GSSENCRequest');
        nothingBehind(inlet, 'GSSENCRequest');
        asked.gss = true;
        plain.write('N');
        break;
      case 'cancel':
        return { kind: 'cancel', socket, pid: packet.pid, key: packet.key };
      default:
        return { kind: 'startup', packet, socket, inlet, encrypted: asked.tls };
    }
  }
}

/** What was sent before the answer would be taken for something said afterwards, under TLS (CVE-2021-23214). */
function nothingBehind(inlet: Inlet, request: string): void {
  if (inlet.buffered === 0) return;
  throw new WritError('protocol_violation', { message: `received unencrypted data after ${request}` });
}

function repeated(request: string): WritError {
  return new WritError('protocol_violation', { message: `unexpected ${request}` });
}
