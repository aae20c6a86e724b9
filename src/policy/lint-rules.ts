// The one table of findings. Code reports by these ids only (another does not compile), docs/lint.md and SARIF print it.

/** error: keeps the policy from compiling. warning: fails lint. note: worth knowing, fails nothing. */
export type Severity = 'error' | 'warning' | 'note';

export interface LintRule {
  readonly severity: Severity;
  /** One sentence: what was found, and why it matters. */
  readonly what: string;
  readonly fix: string;
  /** It must be known which catalogs, tables and columns there are. Absent: the files say it themselves. */
  readonly needs?: 'catalog';
}

/** What is wrong with the files as texts and with the names that they give each other. */
const fileRules = {
  'yaml-syntax': {
    severity: 'error',
    what: 'The file is no YAML, so that nothing in it can be read and nothing else is checked.',
    fix: 'Mend the place that is named; `writ policy fmt` leaves the file alone until then.',
  },
  'unknown-kind': {
    severity: 'error',
    what: 'A document has a `kind` that does not exist.',
    fix: 'Use principals, tags, grants, policies or tests.',
  },
  'unknown-key': {
    severity: 'error',
    what: 'A map has a key that means nothing there; ignoring it would drop what its author meant.',
    fix: 'Correct or remove the key; `writ policy schema` gives editors the list.',
  },
  'missing-key': {
    severity: 'error',
    what: 'A map lacks a key that it needs, or has none or several of keys of which it needs one.',
    fix: 'Add the key that is named.',
  },
  'duplicate-key': {
    severity: 'error',
    what: 'A key stands twice in one map, and only one of them would count.',
    fix: 'Merge the two.',
  },
  'wrong-type': {
    severity: 'error',
    what: 'A value is of another type than its place takes (a list, a map, a text, a date).',
    fix: 'Write what the message asks for; quote texts that YAML reads as numbers.',
  },
  'invalid-name': {
    severity: 'error',
    what: 'A name cannot be read as the name of a principal, group or securable.',
    fix: 'Quote parts with special characters as in SQL: `shop."Odd.Schema".t`.',
  },
  'scim-unfed': {
    severity: 'warning',
    what: 'A group takes its members from SCIM, and no SCIM server feeds this version: nobody is in it.',
    fix: 'List its members, or take them from the sign-in with `source: claim`.',
  },
  'reserved-name': {
    severity: 'error',
    what: "A name of Writ's own (`operator`, `all users`) stands where the files would give it a meaning of theirs.",
    fix: 'Choose another name.',
  },
  'duplicate-name': {
    severity: 'error',
    what: 'A group, service principal, tag, policy or owner is given twice.',
    fix: 'Keep one of them; the message says where the other stands.',
  },
  'members-and-source': {
    severity: 'error',
    what: 'A group has members and a source: it would be unclear whose word counts.',
    fix: 'Keep `members` or `source`.',
  },
  'unknown-privilege': {
    severity: 'error',
    what: 'A privilege that Unity Catalog does not have.',
    fix: 'Use one of those that the message lists.',
  },
  'unknown-principal': {
    severity: 'error',
    what: 'A group or service principal that no file declares; users (names with @) need no declaration.',
    fix: 'Declare it under `groups` or `servicePrincipals`, or correct the name.',
  },
  'group-cycle': {
    severity: 'error',
    what: 'Groups contain themselves, so that membership would have no end.',
    fix: 'Take one of the memberships in the chain away.',
  },
  'group-attribute': {
    severity: 'error',
    what: 'Attributes are given to a group; filters read those of the person who asks, so they would never count.',
    fix: 'Give them to users and service principals.',
  },
  'unknown-tag': {
    severity: 'error',
    what: 'A tag that no file declares; a policy that matches it would bind nothing.',
    fix: 'Declare it under `tags`, or correct the name.',
  },
  'unknown-tag-value': {
    severity: 'error',
    what: 'A value that the declared tag does not have.',
    fix: 'Add it to the `values` of the tag, or correct it.',
  },
  'two-tag-values': {
    severity: 'error',
    what: 'One securable is given two values of one tag, and only one could hold.',
    fix: 'Keep one.',
  },
} as const satisfies Record<string, LintRule>;

/** What is wrong or doubtful with policies and grants. */
const policyRules = {
  'unknown-securable': {
    severity: 'error',
    what: 'A catalog, schema, table or column that discovery did not find, or a partition.',
    fix: 'Correct the name; `writ catalog discover` looks again. A partition is named by its parent.',
    needs: 'catalog',
  },
  'wrong-level': {
    severity: 'error',
    what: 'A grant, owner, tag, policy or test stands on a kind of securable where it means nothing.',
    fix: 'Move it to the level that the message names.',
    needs: 'catalog',
  },
  'untagged-look-alike': {
    severity: 'error',
    what: 'A column is named like those that `require` wants tagged and has no tag: policies by tag would pass it by.',
    fix: 'Assign the tag to the column.',
    needs: 'catalog',
  },
  'ambiguous-match': {
    severity: 'error',
    what: 'A name in `match` (other than `value`) finds several columns of one table, and the expression means one.',
    fix: 'Give the columns different tag values and match one of them.',
    needs: 'catalog',
  },
  'unusable-type': {
    severity: 'error',
    what: 'A policy binds a column whose values do not mean the same in every engine (floating point, JSON, padded texts).',
    fix: 'Move the tag, or change the type of the column.',
    needs: 'catalog',
  },
  'expression-syntax': {
    severity: 'error',
    what: 'An expression that Postgres’s parser does not read, or that is no single expression.',
    fix: 'Correct it at the place that is named.',
  },
  'expression-too-deep': {
    severity: 'error',
    what: 'An expression nests so deeply that Postgres’s parser could exhaust its stack on it; it is not parsed.',
    fix: 'Write it flatter, or as several policies.',
  },
  'expression-too-long': {
    severity: 'error',
    what: 'An expression has more characters than are parsed.',
    fix: 'Keep long lists in attributes or tags, not in the expression.',
  },
  'expression-refused': {
    severity: 'error',
    what: 'An expression uses what is not the same in every engine, reads a setting, or can fail on a value.',
    fix: 'Use what docs/expressions.md lists.',
  },
  'expression-unbound': {
    severity: 'error',
    what: 'An expression names a column that no `match` binds.',
    fix: 'Bind it by its tags under `match`.',
  },
  'expression-type': {
    severity: 'error',
    what: 'An expression has another type than its place: a filter must be boolean, a mask of the type of its column.',
    fix: 'Cast it, or mask columns of different types by policies of their own.',
    needs: 'catalog',
  },
  'no-masked-column': {
    severity: 'error',
    what: 'A mask without `match.value` does not say which column it masks.',
    fix: 'Add `match: { value: { tag: … } }`.',
  },
  'empty-match': {
    severity: 'error',
    what: 'A name under `match` has no tag, so that it would find every tagged column.',
    fix: 'Name the tag.',
  },
  'empty-audience': { severity: 'error', what: 'A policy is for nobody.', fix: 'Name somebody under `to`.' },
  'empty-scope': {
    severity: 'error',
    what: 'A policy stands on nothing.',
    fix: 'Name a securable under `on`.',
  },
  'equal-strength': {
    severity: 'error',
    what: 'Two masks of one column, of equal strength and set equally high, can bind one person: nothing says which wins.',
    fix: 'Give one of them a greater `strength`, or except from one those whom the other binds.',
    needs: 'catalog',
  },
  invariant: {
    severity: 'error',
    what: 'An invariant of the files does not hold: the message names somebody who may exist, what they reach, and why nothing keeps them.',
    fix: 'Change what lets them through, or the invariant if it is meant.',
    needs: 'catalog',
  },
  'idle-policy': {
    severity: 'warning',
    what: 'A policy applies to no table, most often because nothing carries the tags that it matches.',
    fix: 'Assign the tags, or remove the policy.',
    needs: 'catalog',
  },
  'idle-invariant': {
    severity: 'warning',
    what: 'An invariant is about a tag that nothing in the catalog carries, so that it holds whatever the policy says.',
    fix: 'Assign the tag, or remove the invariant.',
    needs: 'catalog',
  },
  'nobody-admitted': {
    severity: 'warning',
    what: 'Nobody may use any catalog: legal as a beginning, and seldom meant.',
    fix: 'Grant USE CATALOG on a catalog to somebody.',
  },
  'expired-grant': {
    severity: 'warning',
    what: 'A grant has expired and gives nothing.',
    fix: 'Remove it, or give it a later `expires`.',
  },
  'modify-on-view': {
    severity: 'warning',
    what: 'MODIFY is granted on a view or materialized view, which nobody can write through Writ.',
    fix: 'Grant it on the table beneath.',
    needs: 'catalog',
  },
} as const satisfies Record<string, LintRule>;

/** What compiles and still is not what its author meant: looked for once there are no errors. */
const adviceRules = {
  'unreachable-grant': {
    severity: 'warning',
    what: 'A grant lets nobody in, because no one whom it is for, nor anybody who may join, passes the gates before it.',
    fix: 'Make the grant that the message names, or remove this one.',
  },
  'shadowed-grant': {
    severity: 'warning',
    what: 'Another live grant gives the same already, so that removing this one would take nothing away.',
    fix: 'Remove one of the two; keep the narrower one if the wider is the mistake.',
  },
  'shadowed-mask': {
    severity: 'warning',
    what: 'A mask can never win: on every column a mask of greater rank binds everyone whom it binds.',
    fix: 'Raise its `strength`, narrow the other, or remove it.',
    needs: 'catalog',
  },
  'filtered-writer': {
    severity: 'warning',
    what: 'Somebody bound by a row filter may write a table whose triggers or foreign keys then read or change rows that the filter hides: a sum stored by a trigger counts only visible rows, a cascade deletes hidden ones.',
    fix: 'Except the writer from the filter, take MODIFY away, or let the trigger’s function be SECURITY DEFINER.',
    needs: 'catalog',
  },
  'not-enforced': {
    severity: 'warning',
    what: 'A privilege is granted by name where no engine behind Writ can give it without giving more: Postgres’s CREATE on a schema, for one, covers tables, views and functions alike.',
    fix: 'Remove the grant; let a role of the database do it through `assume`.',
    needs: 'catalog',
  },
  'name-too-long': {
    severity: 'warning',
    what: 'A name that Postgres reads as an identifier is over 63 bytes: Postgres cuts it, and what is cut names something else or nothing.',
    fix: 'Shorten it. Names of principals, groups, tags and policies never become identifiers and may be longer.',
  },
  widening: {
    severity: 'note',
    what: 'A privilege means more in Postgres than in the model: MODIFY gives DELETE, which permits LOCK TABLE … ACCESS EXCLUSIVE, so that its holder can make everybody wait.',
    fix: 'Nothing, if the holder is trusted with that; else grant it on fewer tables.',
    needs: 'catalog',
  },
  'subset-audience': {
    severity: 'note',
    what: 'A row filter is for some only: whoever else comes to hold SELECT reads every row.',
    fix: 'Prefer `to: all users` with `except`, which hides rows from whoever is new.',
  },
  'empty-group': {
    severity: 'note',
    what: 'A group has no members and no source: what names it means nobody.',
    fix: 'Add members or a `source`, or remove the group.',
  },
  'unused-tag': {
    severity: 'note',
    what: 'A tag is declared and assigned to nothing.',
    fix: 'Assign it, or remove it.',
  },
} as const satisfies Record<string, LintRule>;

export const lintRules = { ...fileRules, ...policyRules, ...adviceRules };

export type LintRuleId = keyof typeof lintRules;

/** Rules of one severity. */
export type RuleOf<S extends Severity> = {
  [Id in LintRuleId]: (typeof lintRules)[Id]['severity'] extends S ? Id : never;
}[LintRuleId];

/** The table as a list, in its order. */
export function listLintRules(): readonly (LintRule & { readonly id: LintRuleId })[] {
  return Object.entries(lintRules).map(([id, rule]) => ({ ...rule, id: id as LintRuleId }));
}

/** What is looked for only in files without errors, which say nothing reliable as a whole. */
export const adviceIds: ReadonlySet<string> = new Set(Object.keys(adviceRules));

/** Rules that were not looked at: without a catalog, or because there were errors. */
export function notChecked(had: {
  readonly catalog: boolean;
  readonly errors: boolean;
}): readonly LintRuleId[] {
  return listLintRules()
    .filter(({ id, needs }) => (needs === 'catalog' && !had.catalog) || (adviceIds.has(id) && had.errors))
    .map((rule) => rule.id);
}
