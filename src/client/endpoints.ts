import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';

// Where a running instance is: `$WRIT_HOME/endpoints.json`, or a server URL.

const endpointsSchema = z.object({
  http: z.string(),
  issuer: z.string(),
  pid: z.number(),
  postgres: z.object({ host: z.string(), port: z.number(), caFile: z.string() }),
  clusters: z.record(
    z.string(),
    z.object({ host: z.string(), port: z.number(), database: z.string(), adminUrl: z.string() }),
  ),
});

/** The contract of `endpoints.json` (docs: README, "One command"). */
export type Endpoints = z.infer<typeof endpointsSchema>;

export function endpointsFile(home: string): string {
  return join(home, 'endpoints.json');
}

/** @throws not_found with what to start, when no instance has written the file. */
export function readEndpoints(home: string): Endpoints {
  let text: string;
  try {
    text = readFileSync(endpointsFile(home), 'utf8');
  } catch (cause) {
    throw new WritError('not_found', {
      message: `no running instance found in ${home}`,
      hint: 'start one with `npm start` (or `writ dev`), or name one with --server URL or WRIT_SERVER',
      cause,
    });
  }
  try {
    return endpointsSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new WritError('invalid_config', {
      message: `${endpointsFile(home)} is not what an instance writes`,
      hint: 'start the instance again',
      cause,
    });
  }
}

/** The local operator's token; undefined where this user may not read it. */
export function readOperatorToken(home: string): string | undefined {
  try {
    return readFileSync(join(home, 'operator-token'), 'utf8').trim();
  } catch {
    return undefined;
  }
}
