import { Client, type QueryConfig } from 'pg';
import type { Sql } from '../kernel/sql.ts';

// Connections with which databases are filled before anybody governs them.

/** Runs `work` on a connection of its own, named in pg_stat_activity. */
export async function connected<T>(
  url: string,
  name: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ connectionString: url, application_name: name });
  // The server may end while we are connected; the statement under way reports it.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export async function execute(client: Client, statement: Sql): Promise<void> {
  await client.query(statement.text);
}

/** One statement by protocol: a text from elsewhere can bring no second one along. */
export async function executeOne(client: Client, { text }: Sql): Promise<void> {
  const config: QueryConfig & { readonly queryMode: 'extended' } = { text, queryMode: 'extended' };
  await client.query(config);
}
