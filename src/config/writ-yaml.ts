import { isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import { policySourceSchema } from './policy-source.ts';
import { referenceSchema } from './reference.ts';

// writ.yaml: everything that is not policy. Clusters, where catalogs are, who vouches for people, where state is kept.

const portSchema = z.int().min(0).max(65_535);
const nameSchema = z
  .string()
  .regex(/^[a-z_][a-z0-9_]*$/, 'a name of lower-case letters, digits and underscores');

const clusterSchema = z.strictObject({
  host: z.string().min(1).describe('Where gateway sessions and direct credentials connect to.'),
  port: z.int().min(1).max(65_535).default(5432),
  adminUrl: referenceSchema.describe('Administrative login: postgres://user:password@host:port/database.'),
  labels: z.record(z.string(), z.string()).default({}).describe('What `clusters:` in policies selects by.'),
});

const catalogSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('POSTGRES'),
    cluster: nameSchema.describe('A name under `clusters`.'),
    database: z.string().min(1),
  }),
  z.strictObject({
    kind: z.literal('LAKE'),
    location: z
      .string()
      .min(1)
      .describe('Folder with one folder per schema and one per table of Parquet files.'),
  }),
]);

const issuerSchema = z.strictObject({
  issuer: z.url().describe('Exactly as in its tokens and its discovery document.'),
  audience: z.string().min(1).default('writ'),
  clientId: z.string().min(1).optional().describe('The public client that `writ login` signs in with.'),
  groupsClaim: z.string().min(1).optional().describe('Claim that holds the groups with `source: claim`.'),
  emailDomains: z
    .array(z.string().min(1))
    .optional()
    .describe('Only these e-mail domains are bound to names in the files.'),
  allowLoopbackHttp: z
    .boolean()
    .default(false)
    .describe('Reach it by plain http where it runs on this machine: for trials only.'),
});

const storeSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sqlite'),
    path: z.string().min(1).default('catalog.sqlite').describe('From WRIT_HOME.'),
  }),
  z.strictObject({ kind: z.literal('postgres'), url: referenceSchema }),
]);

const auditSchema = z.strictObject({
  folder: z.string().min(1).default('audit').describe('From WRIT_HOME.'),
  redactLiterals: z.boolean().default(true).describe('Statement texts are recorded without their literals.'),
  segmentBytes: z.int().min(4096).default(67_108_864),
});

const tlsSchema = z.strictObject({
  certificate: z.string().min(1),
  key: z.string().min(1),
  ca: z.string().min(1).optional().describe('What clients verify the certificate with; by default itself.'),
});

const listenSchema = z.strictObject({
  http: z
    .strictObject({ host: z.string().min(1).default('127.0.0.1'), port: portSchema.default(8080) })
    .prefault({}),
  postgres: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: portSchema.default(6432),
      tls: tlsSchema.optional().describe('PEM files; without them only loopback is listened on.'),
    })
    .prefault({}),
});

const guardsSchema = z
  .strictObject({
    maxRevokes: z.int().min(0).optional().describe('Rights taken away in one database.'),
    maxDroppedRoles: z.int().min(0).optional().describe('Roles dropped in one database.'),
    maxWidened: z.int().min(0).optional().describe('Columns that lose a mask, and tables a row filter.'),
  })
  .describe('The most that one `policy apply` does without an explicit acceptance.');

interface Served {
  readonly clusters: Readonly<Record<string, unknown>>;
  readonly catalogs: Readonly<Record<string, z.infer<typeof catalogSchema>>>;
  readonly issuers: readonly z.infer<typeof issuerSchema>[];
  readonly listen: z.infer<typeof listenSchema>;
  readonly store: z.infer<typeof storeSchema>;
  readonly audit: z.infer<typeof auditSchema>;
}

const loopback = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[?::1\]?)$/;

/** What the shape allows and cannot be, or cannot be served yet: said here, never passed over. */
function refusals(config: Served): { path: (string | number)[]; message: string }[] {
  const { clusters, catalogs, issuers, listen, store, audit } = config;
  const found: { path: (string | number)[]; message: string }[] = [];
  const refuse = (path: (string | number)[], message: string) => found.push({ path, message });
  for (const [name, catalog] of Object.entries(catalogs)) {
    if (catalog.kind === 'POSTGRES' && !(catalog.cluster in clusters))
      refuse(['catalogs', name, 'cluster'], `no cluster ${JSON.stringify(catalog.cluster)} under clusters`);
    if (name === 'system' || name === 'metastore') refuse(['catalogs', name], `${name} is a reserved name`);
  }
  for (const [i, { issuer, allowLoopbackHttp }] of issuers.entries()) {
    const { protocol, hostname } = new URL(issuer);
    if (protocol !== 'https:' && !(protocol === 'http:' && allowLoopbackHttp && loopback.test(hostname)))
      refuse(['issuers', i, 'issuer'], 'https only; http with allowLoopbackHttp, from loopback addresses');
  }
  if (!loopback.test(listen.http.host))
    refuse(
      ['listen', 'http', 'host'],
      'HTTP is served on loopback only; put a proxy with TLS in front of it',
    );
  if (listen.postgres.tls === undefined && !loopback.test(listen.postgres.host))
    refuse(
      ['listen', 'postgres', 'host'],
      'without tls only loopback is listened on; name certificate and key',
    );
  if (store.kind === 'postgres')
    refuse(['store', 'kind'], 'a store in Postgres cannot be served yet; use sqlite');
  if (!audit.redactLiterals)
    refuse(['audit', 'redactLiterals'], 'literals are always redacted: recording them cannot be served yet');
  return found;
}

const writYamlSchema = z
  .strictObject({
    clusters: z.record(nameSchema, clusterSchema).default({}),
    catalogs: z.record(nameSchema, catalogSchema).default({}),
    issuers: z.array(issuerSchema).min(1, 'at least one issuer, or nobody can sign in'),
    listen: listenSchema.prefault({}),
    store: storeSchema.default({ kind: 'sqlite', path: 'catalog.sqlite' }),
    audit: auditSchema.prefault({}),
    policy: z.strictObject({ source: policySourceSchema, guards: guardsSchema.optional() }),
  })
  .check((context) => {
    for (const { path, message } of refusals(context.value))
      context.issues.push({ code: 'custom', input: undefined, path: [...path], message });
  });

export type WritYaml = z.infer<typeof writYamlSchema>;

/**
 * Reads the text of a writ.yaml. All errors at once, one per line: `file:line:column: where: what`.
 * @throws invalid_config
 */
export function parseWritYaml(text: string, file = 'writ.yaml'): WritYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  if (document.errors.length > 0) {
    throw invalid(document.errors.map((error) => `${place(error.pos[0])}: ${error.message}`));
  }
  const parsed = writYamlSchema.safeParse(document.toJS() ?? {});
  if (parsed.success) return parsed.data;
  throw invalid(
    parsed.error.issues.flatMap(nearest).flatMap((issue) => {
      const unknown = issue.code === 'unrecognized_keys' ? issue.keys : [undefined];
      return unknown.map((key) => {
        const path = key === undefined ? issue.path : [...issue.path, key];
        const what = key === undefined ? issue.message : 'unknown key';
        return `${place(offsetOf(document, path))}: ${path.join('.') || 'the file'}: ${what}`;
      });
    }),
  );
}

/** `file:line:column` of what a path leads to, for what is found wrong after parsing. */
export function placeInYaml(text: string, file: string, path: readonly (string | number)[]): string {
  const lines = new LineCounter();
  const { line, col } = lines.linePos(offsetOf(parseDocument(text, { lineCounter: lines }), path));
  return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
}

/** Of a choice, what is wrong with the one that was meant: whose outer shape fits. */
function nearest(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find(
    (errors) => !errors.some(({ code, path }) => path.length === 0 && /^invalid_(?:type|value)$/.test(code)),
  );
  return meant?.flatMap((inner) => nearest({ ...inner, path: [...issue.path, ...inner.path] })) ?? [issue];
}

/** JSON Schema of writ.yaml, for editors. */
export function writYamlJsonSchema(): object {
  return z.toJSONSchema(writYamlSchema, { io: 'input' });
}

type Path = readonly PropertyKey[];

// The nearest node that exists: a missing key is reported at its parent.
function offsetOf(document: ReturnType<typeof parseDocument>, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function invalid(lines: readonly string[]): WritError {
  return new WritError('invalid_config', { message: lines.join('\n') });
}

export const exampleYaml = `# Everything that is not policy. \`adminUrl\` and other secrets are a value, { env: NAME } or { file: PATH }.
clusters:
  main:
    host: db.internal.example
    port: 5432
    adminUrl: { env: MAIN_ADMIN_URL }
    labels: { tier: production }
catalogs:
  shop: { kind: POSTGRES, cluster: main, database: shop }
  lake: { kind: LAKE, location: /srv/lake }
issuers:
  - issuer: https://login.example.com
    audience: writ
    emailDomains: [example.com]
listen:
  http: { host: 127.0.0.1, port: 8080 }
  postgres: { host: 0.0.0.0, port: 6432, tls: { certificate: tls/server.pem, key: tls/server.key } }
store: { kind: sqlite, path: catalog.sqlite }
audit: { folder: audit, redactLiterals: true }
policy: { source: policies }
# Or a git repository whose commits must be signed (docs/serve.md):
# policy:
#   source:
#     git: git@git.example.com:platform/policies.git
#     ref: main
#     folder: policies
#     trust: { allowedSigners: allowed_signers }
`;
