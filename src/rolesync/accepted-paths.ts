import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

// Ways around the policy that an operator accepted by name, per cluster. Kept beside the instance's other state.

const schema = z.record(z.string(), z.array(z.string()));

export interface AcceptedPaths {
  of(cluster: string): ReadonlySet<string>;
  accept(cluster: string, ids: readonly string[]): void;
}

/** A missing file is an empty list; an unreadable one is an error: accepting is never guessed. */
export function openAcceptedPaths(file: string): AcceptedPaths {
  const kept = new Map(Object.entries(read(file)).map(([cluster, ids]) => [cluster, new Set(ids)]));
  return {
    of: (cluster) => kept.get(cluster) ?? new Set(),
    accept: (cluster, ids) => {
      kept.set(cluster, new Set([...(kept.get(cluster) ?? []), ...ids]));
      const text = JSON.stringify(
        Object.fromEntries([...kept].map(([name, all]) => [name, [...all].toSorted()])),
        null,
        2,
      );
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}

function read(file: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
