import { WritError } from '../../kernel/errors.ts';

// What an identity provider serves is read with a limit on time and size, and never by way of another host.

const bodyBytes = 64 * 1024;
const timeout = 5_000;

/** Fetches a JSON document. @throws unreachable when it does not come, comes with another status, or is too large */
export async function fetchCapped(url: string): Promise<Response> {
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(timeout),
    });
    const body = await readCapped(response);
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return new Response(body, { status: 200, headers: { 'content-type': 'application/json' } });
  } catch (cause) {
    throw new WritError('unreachable', {
      message: 'the identity provider cannot be reached',
      detail: `${url}: ${reason(cause)}`,
      hint: 'try again; if it stays so, the operator must look at `issuers` in the configuration',
      cause,
    });
  }
}

async function readCapped(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > bodyBytes) throw new Error(`more than ${bodyBytes} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message;
}
