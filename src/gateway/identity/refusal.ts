import { WritError } from '../../kernel/errors.ts';

const newToken = 'get a new one: writ token';

/** 28P01: it proves nothing. `why` must be the same for everything that a guesser could tell apart. */
export function notGenuine(why: string, cause?: unknown): WritError {
  return new WritError('bad_credential', { detail: why, hint: newToken, cause });
}

/** 28000: genuine, and yet not accepted here. */
export function refused(why: string, hint = newToken): WritError {
  return new WritError('sign_in_refused', { detail: why, hint });
}
