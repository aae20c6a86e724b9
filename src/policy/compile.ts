import { createHash } from 'node:crypto';
import type { CatalogSnapshot } from '../catalog/model.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { Assumption } from './assumption.ts';
import { check } from './check.ts';
import type { GrantEntry, PolicyDocuments } from './document.ts';
import { createEnforcer } from './enforcer.ts';
import { initParser } from './expression/parse.ts';
import { compareText, Findings, sortFindings } from './findings.ts';
import type { AccessRule } from './gates.ts';
import { type InvariantResult, proveInvariants, reportInvariants } from './invariants.ts';
import { type Claims, claimsThatCount, Membership } from './membership.ts';
import type { Finding, PolicyFile, Snapshot } from './model.ts';
import { parsePolicyFiles, yamlSyntax } from './parse.ts';
import { bindRules, type ClusterLabels, selectsCluster } from './rules.ts';
import { CompiledSnapshot } from './snapshot.ts';
import { Tags } from './tags.ts';

export interface CompileInput {
  readonly files: readonly PolicyFile[];
  readonly documents: PolicyDocuments;
  readonly catalog: CatalogSnapshot;
  /** Principals that the catalog knows beside those that the files name. */
  readonly known: readonly PrincipalName[];
  /** Milliseconds; grants that expired by then are left out. */
  readonly now: number;
  /** Labels of the clusters, for `clusters:` selectors. */
  readonly labels?: ClusterLabels;
  /** Groups of each principal's latest sign-in, as claimed; those declared with `source: claim` count. */
  readonly claimed?: Claims;
}

export interface Compiled {
  /** Undefined exactly when a finding is an error. */
  readonly snapshot: Snapshot | undefined;
  readonly findings: readonly Finding[];
  /** Empty where the policy did not get that far. */
  readonly invariants: readonly InvariantResult[];
}

/** Files → snapshot: parse, check, compile. Never throws for what the files say. */
export async function compileFiles(
  files: readonly PolicyFile[],
  catalog: CatalogSnapshot,
  known: readonly PrincipalName[],
  now: number,
  labels?: ClusterLabels,
  claimed?: Claims,
): Promise<Compiled> {
  const { documents, findings } = parsePolicyFiles(files);
  // What a file that cannot be read would have declared is not known: nothing else is checked against the rest.
  if (findings.some((finding) => finding.rule === yamlSyntax))
    return { snapshot: undefined, findings: sortFindings(findings), invariants: [] };
  const input = {
    ...{ files, documents, catalog, known, now },
    ...(labels === undefined ? {} : { labels }),
    ...(claimed === undefined ? {} : { claimed }),
  };
  const compiled = await compilePolicy(input);
  const all = sortFindings([...findings, ...compiled.findings]);
  const broken = all.some((finding) => finding.severity === 'error');
  return { ...compiled, snapshot: broken ? undefined : compiled.snapshot, findings: all };
}

/** Documents × catalog → snapshot. Pure but for loading the parser. */
export async function compilePolicy(input: CompileInput): Promise<Compiled> {
  await initParser();
  const { documents, catalog, now } = input;
  const tags = new Tags(documents.assign);
  const labels = input.labels ?? new Map();
  const rules = bindRules(documents.policies, tags, catalog, labels);
  const findings = sortFindings(check({ ...input, tags, rules }));
  if (findings.some((finding) => finding.severity === 'error'))
    return { snapshot: undefined, findings, invariants: [] };
  const live = documents.grants.filter((grant) => grant.expires === undefined || grant.expires.value > now);
  const claims = claimsThatCount(documents.groups, input.claimed);
  const named = namedPrincipals(documents);
  const membership = new Membership(documents.groups, named, claims);
  const access = accessRules(documents, live, catalog, labels);
  const assumptions = assumptionsOf(live, catalog, labels);
  const snapshot = new CompiledSnapshot({
    id: snapshotId(input, live, claims),
    files: input.files,
    documents,
    catalog,
    known: input.known,
    tags,
    membership,
    tables: rules.tables,
    access,
    assumptions,
    enforcer: await createEnforcer(),
    nextExpiry: live.reduce(
      (next, { expires }) => Math.min(next, expires?.value ?? next),
      Number.POSITIVE_INFINITY,
    ),
  });
  const { tables } = rules;
  // What somebody claims today they may not claim tomorrow: a proof that leaned on it would fail at a sign-in.
  const unclaimed = claims.size === 0 ? membership : new Membership(documents.groups, named);
  const proof = { documents, catalog, tags, membership: unclaimed, tables, access, assumptions, snapshot };
  return proven(snapshot, findings, proveInvariants(proof));
}

/** A policy that breaks an invariant of its own does not compile. */
function proven(
  snapshot: Snapshot,
  found: readonly Finding[],
  invariants: readonly InvariantResult[],
): Compiled {
  const broken = new Findings();
  reportInvariants(invariants, broken);
  const findings = sortFindings([...found, ...broken.list]);
  return { snapshot: broken.hasErrors ? undefined : snapshot, findings, invariants };
}

/**
 * Names the content: the texts of the files in any order and under any name, the catalog, which grants have expired by
 * now, and which claimed groups count.
 */
function snapshotId(input: CompileInput, live: readonly GrantEntry[], claims: Claims): string {
  const texts = input.files.map((file) => createHash('sha256').update(file.text).digest('hex'));
  const expired = input.documents.grants.length - live.length;
  const lapsed = live.length === input.documents.grants.length ? [] : [expired, lapsedAt(input)];
  const labels = [...(input.labels ?? [])].map(([name, own]) => [name, [...own].sort()]);
  const joined = [...claims].sort(([a], [b]) => compareText(a, b));
  const content = JSON.stringify([
    texts.sort(compareText),
    input.catalog.digest,
    lapsed,
    labels,
    ...(joined.length === 0 ? [] : [joined]),
  ]);
  return createHash('sha256').update(content).digest('hex');
}

/** The latest expiry that has passed: with the texts it says which grants are gone. */
function lapsedAt({ documents, now }: CompileInput): number {
  const passed = documents.grants.map((grant) => grant.expires?.value ?? 0).filter((at) => at <= now);
  return passed.reduce((latest, at) => Math.max(latest, at), 0);
}

function accessRules(
  documents: PolicyDocuments,
  live: readonly GrantEntry[],
  catalog: CatalogSnapshot,
  labels: ClusterLabels,
): readonly AccessRule[] {
  const rules: AccessRule[] = [];
  for (const entry of documents.owners)
    for (const on of entry.on) rules.push({ subject: entry.owner.value, on: on.value, act: 'OWNER' });
  for (const grant of live)
    for (const on of grant.on) {
      if (!selectsCluster(grant.clusters, on.value, catalog, labels)) continue;
      for (const to of grant.to)
        for (const privilege of grant.privileges)
          rules.push({ subject: to.value, on: on.value, act: privilege.value });
    }
  return rules;
}

function assumptionsOf(
  live: readonly GrantEntry[],
  catalog: CatalogSnapshot,
  labels: ClusterLabels,
): readonly Assumption[] {
  return live.flatMap((grant) => {
    const role = grant.assume?.value;
    if (role === undefined) return [];
    return grant.on
      .filter((on) => selectsCluster(grant.clusters, on.value, catalog, labels))
      .map((on) => ({ on: on.value, role, to: grant.to.map((to) => to.value) }));
  });
}

/** Principals that a rule names: each is a class of its own. */
function namedPrincipals(documents: PolicyDocuments): ReadonlySet<string> {
  return new Set([
    ...documents.owners.map((entry) => entry.owner.value),
    ...documents.grants.flatMap((grant) => grant.to.map((to) => to.value)),
    ...documents.policies.flatMap((policy) => [...policy.to, ...policy.except].map((name) => name.value)),
  ]);
}
