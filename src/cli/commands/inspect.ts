import type { Command } from 'commander';
import { action, type CliContext, type Connection, clientCommand } from '../context.ts';
import { writeOut } from '../files.ts';
import { type Answer, formatTable, plural } from '../output.ts';

interface CatalogRow {
  readonly name: string;
  readonly kind: string;
  readonly owner?: string;
  readonly comment?: string;
}

interface Description extends CatalogRow {
  readonly tags?: Record<string, string>;
  readonly columns?: readonly { name: string; type: string; tags: Record<string, string>; masks: string[] }[];
  readonly filters?: readonly string[];
}

/** catalog, sessions, cluster. */
export function inspectCommands(program: Command, context: CliContext): void {
  catalogCommands(program.command('catalog').description('what exists'), context);
  sessionCommands(program.command('sessions').description('who is connected'), context);
  clusterCommands(program.command('cluster').description('the Postgres clusters'), context);
}

function catalogCommands(catalog: Command, context: CliContext): void {
  clientCommand(catalog, 'export', 'print what exists as JSON, for `writ policy lint|test --catalog`')
    .option('--out <file>', 'write it to a file')
    .action(action<[], { out?: string }>(context, exportCatalog));
  clientCommand(catalog, 'ls [name]', 'list catalogs, or what is below a name').action(
    action<[string | undefined], object>(context, async ({ api }, _options, name) => {
      const query = name === undefined ? '' : `?name=${encodeURIComponent(name)}`;
      const value = await api.call<{ securables: CatalogRow[] }>('GET', `/api/v1/catalog${query}`);
      return {
        value,
        text: formatTable(
          ['name', 'kind', 'owner'],
          value.securables.map((row) => [row.name, row.kind, row.owner]),
        ),
      };
    }),
  );
  clientCommand(catalog, 'describe <name>', 'columns, tags, filters and masks of a securable').action(
    action<[string], object>(context, describe),
  );
  clientCommand(catalog, 'discover <catalog>', 'look again at what the catalog holds').action(
    action<[string], object>(context, async ({ api }, _options, name) => {
      const value = await api.call<{ tables: number; changed: boolean }>('POST', '/api/v1/catalog/discover', {
        catalog: name,
      });
      return {
        value,
        text: `${name}: ${plural(value.tables, 'table')}, ${value.changed ? 'changed' : 'unchanged'}`,
      };
    }),
  );
}

/** What `writ policy lint --catalog` reads. */
async function exportCatalog({ api }: Connection, { out }: { readonly out?: string }): Promise<Answer> {
  const value = await api.call<{ tables: unknown[] }>('GET', '/api/v1/catalog/export');
  const json = JSON.stringify(value, null, 2);
  if (out === undefined) return { value, text: json };
  writeOut(out, `${json}\n`);
  return { value, text: `${out}: ${plural(value.tables.length, 'table')}` };
}

async function describe({ api }: Connection, _options: object, name: string): Promise<Answer> {
  const value = await api.call<Description>(
    'GET',
    `/api/v1/catalog/describe?name=${encodeURIComponent(name)}`,
  );
  const lines = [`${value.name}  ${value.kind}${value.owner === undefined ? '' : `  owner ${value.owner}`}`];
  for (const filter of value.filters ?? []) lines.push(`row filter ${filter}`);
  const rows = (value.columns ?? []).map((column) => [
    column.name,
    column.type,
    Object.entries(column.tags).map(([k, v]) => `${k}=${v}`),
    column.masks,
  ]);
  if (rows.length > 0) lines.push(formatTable(['column', 'type', 'tags', 'masks'], rows));
  return { value, text: lines.join('\n') };
}

function sessionCommands(sessions: Command, context: CliContext): void {
  clientCommand(sessions, 'ls', 'open sessions').action(
    action(context, async ({ api }) => {
      const value = await api.call<{ sessions: Record<string, unknown>[] }>('GET', '/api/v1/sessions');
      const columns = ['id', 'principal', 'catalog', 'client', 'application', 'startedAt', 'statements'];
      return {
        value,
        text: formatTable(
          columns,
          value.sessions.map((session) => columns.map((name) => session[name])),
        ),
      };
    }),
  );
  clientCommand(sessions, 'kill <id>', 'end a session with 57P01').action(
    action<[string], object>(context, async ({ api }, _options, id) => {
      const value = await api.call<object>('DELETE', `/api/v1/sessions/${encodeURIComponent(id)}`);
      return { value, text: `ended ${id}` };
    }),
  );
}

interface FindingRow {
  readonly id: string;
  readonly severity: string;
  readonly title: string;
  readonly why: string;
  readonly where: string;
  readonly fixes: readonly string[];
  readonly accepted: boolean;
}

interface HardenOptions {
  readonly apply?: boolean;
  readonly only?: string[];
  readonly accept?: string[];
}

function clusterCommands(cluster: Command, context: CliContext): void {
  clientCommand(cluster, 'ls', 'known clusters').action(action(context, listClusters));
  clientCommand(cluster, 'doctor [cluster]', 'every way around the policy; exit 1 while one is open').action(
    action<[string | undefined], object>(context, doctor),
  );
  clientCommand(cluster, 'harden [cluster]', 'plan the closing of ways around; --apply does it')
    .option('--apply', 'do it')
    .option('--only <id...>', 'only these findings')
    .option('--accept <id...>', 'leave these open, by name')
    .action(action<[string | undefined], HardenOptions>(context, harden));
}

async function listClusters({ api }: Connection): Promise<Answer> {
  const value = await api.call<{
    clusters: { name: string; host: string; port: number; version: string }[];
  }>('GET', '/api/v1/clusters');
  const rows = value.clusters.map((c) => [c.name, c.host, c.port, c.version]);
  return { value, text: formatTable(['cluster', 'host', 'port', 'version'], rows) };
}

async function doctor({ api }: Connection, _options: object, name = 'main'): Promise<Answer> {
  const path = `/api/v1/clusters/${encodeURIComponent(name)}/doctor`;
  const value = await api.call<{ findings: FindingRow[] }>('POST', path, {});
  const open = value.findings.filter((finding) => finding.severity !== 'reported' && !finding.accepted);
  const lines = value.findings.map(
    (f) => `${f.accepted ? 'accepted' : f.severity}  ${f.id}\n    ${f.where}\n    ${f.title}: ${f.why}`,
  );
  return {
    value,
    text: lines.length === 0 ? 'nothing found' : lines.join('\n'),
    exit: open.length > 0 ? 1 : 0,
  };
}

async function harden({ api }: Connection, options: HardenOptions, name = 'main'): Promise<Answer> {
  const value = await api.call<{ operations: { words: string; sql: string }[]; applied: boolean }>(
    'POST',
    `/api/v1/clusters/${encodeURIComponent(name)}/harden`,
    { apply: options.apply === true, only: options.only, accept: options.accept },
  );
  const lines = value.operations.flatMap((operation) => [
    operation.words,
    ...operation.sql.split('\n').map((line) => `      ${line}`),
  ]);
  const text =
    lines.length === 0
      ? 'nothing to close'
      : [...lines, value.applied ? 'done' : 'planned; `--apply` does it'].join('\n');
  return { value, text, exit: value.operations.length > 0 && !value.applied ? 2 : 0 };
}
