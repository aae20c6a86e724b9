import { z } from 'zod';
import { type ErrorCode, errorTable, WritError } from '../kernel/errors.ts';

/** An instance's HTTP API, as the CLI uses it. */
export interface Api {
  /** @throws WritError with the server's code, message, detail and hint; unreachable when nobody answers. */
  call<T = unknown>(method: 'GET' | 'POST' | 'DELETE' | 'PATCH', path: string, body?: object): Promise<T>;
}

const errorBody = z.object({
  error_code: z.string(),
  message: z.string(),
  detail: z.string().optional(),
  hint: z.string().optional(),
  sqlstate: z.string().optional(),
});

/** @param server where the instance is, asked at each call */
export function openApi(server: () => string, token: () => Promise<string>): Api {
  return {
    call: async <T>(method: string, path: string, body?: object): Promise<T> => {
      const response = await reach(new URL(path, server()), {
        method,
        headers: { authorization: `Bearer ${await token()}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw readError(text, response.status);
      return (response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text) as T;
    },
  };
}

async function reach(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    throw new WritError('unreachable', {
      message: `nobody answers at ${url.origin}`,
      hint: 'is the instance running? `npm start` starts one',
      cause,
    });
  }
}

function readError(text: string, status: number): WritError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return new WritError('internal', { message: `the server answered ${status}: ${text.slice(0, 200)}` });
  }
  const parsed = errorBody.safeParse(body);
  if (!parsed.success) return new WritError('internal', { message: `the server answered ${status}` });
  const { error_code, message, detail, hint } = parsed.data;
  const code = error_code.toLowerCase();
  return new WritError(code in errorTable ? (code as ErrorCode) : 'internal', {
    message,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });
}
