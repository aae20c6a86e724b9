import type { CatalogSnapshot } from '../catalog/model.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { checkPolicies } from './check-policies.ts';
import { checkAdmitted, checkGroups, checkPrincipalNames } from './check-principals.ts';
import { checkSecurables } from './check-securables.ts';
import { checkTags } from './check-tags.ts';
import type { PolicyDocuments } from './document.ts';
import { Findings } from './findings.ts';
import type { Finding, PolicyFile } from './model.ts';
import type { AllRules } from './rules.ts';
import type { Tags } from './tags.ts';

export interface CheckInput {
  readonly files: readonly PolicyFile[];
  readonly documents: PolicyDocuments;
  readonly catalog: CatalogSnapshot;
  readonly known: readonly PrincipalName[];
  readonly now: number;
  readonly tags: Tags;
  readonly rules: AllRules;
}

/** Parsed documents × catalog → everything that is wrong or doubtful, each with its place. Pure. */
export function check(input: CheckInput): readonly Finding[] {
  const findings = new Findings();
  checkGroups(input, findings);
  checkPrincipalNames(input, findings);
  checkSecurables(input, findings);
  checkAdmitted(input, findings);
  checkTags(input, findings);
  checkPolicies(input, findings);
  return findings.list;
}
