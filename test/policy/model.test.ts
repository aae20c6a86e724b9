import { describe, expect, test } from 'vitest';
import { formatReason } from '../../src/kernel/decision.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parsePrivilege, privileges } from '../../src/kernel/privilege.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';
import { grantableOn } from '../../src/policy/grantable.ts';
import { compile, policyOf, salaries } from './model-fixture.ts';

// The model of access, one case per statement of it.

const grants = (...entries: readonly string[]) =>
  `kind: grants\ngrants:\n${entries.map((entry) => `  - { ${entry} }`).join('\n')}\n`;
const owner = (on: string, who: string) =>
  `kind: grants\nowners: [{ on: ${on}, owner: ${who}, comment: theirs }]\n`;

type Case = readonly [privilege: string, on: string, effect: 'allow' | 'deny', last: string];

/** `last`: the reason of the gate that was asked last. */
function cases(title: string, who: string, texts: readonly string[], list: readonly Case[]): void {
  describe(title, () => {
    test.each(list)('%s on %s: %s, %s', async (privilege, on, effect, last) => {
      const snapshot = await policyOf(...texts);
      const decision = snapshot.decide(parsePrincipalName(who), parsePrivilege(privilege), name(on));
      const reason = decision.because.at(-1);
      expect([decision.effect, reason && formatReason(reason)]).toEqual([effect, last]);
    });
  });
}

const enter = 'on: finance, to: analysts, privileges: [USE CATALOG, USE SCHEMA]';

cases(
  'three gates: data without USE SCHEMA is closed',
  'alice@x.io',
  [grants('on: finance, to: analysts, privileges: [USE CATALOG, SELECT]')],
  [
    ['USE CATALOG', 'finance', 'allow', 'USE CATALOG on finance granted to analysts'],
    ['SELECT', salaries, 'deny', 'no USE SCHEMA on finance.hr'],
    ['SELECT', 'lake.raw.events', 'deny', 'no USE CATALOG on lake'],
  ],
);

cases(
  'three gates: data without USE CATALOG is closed',
  'alice@x.io',
  [grants('on: finance.hr, to: analysts, privileges: [USE SCHEMA, SELECT]')],
  [['SELECT', salaries, 'deny', 'no USE CATALOG on finance']],
);

cases(
  'each gate opens at any height',
  'alice@x.io',
  [
    grants(
      'on: finance, to: analysts, privileges: USE CATALOG',
      'on: finance.hr, to: analysts, privileges: USE_SCHEMA',
      `on: ${salaries}, to: alice@x.io, privileges: select`,
    ),
  ],
  [
    ['SELECT', salaries, 'allow', `SELECT on ${salaries} granted to alice@x.io`],
    ['SELECT', `${salaries}.mail`, 'allow', `SELECT on ${salaries} granted to alice@x.io`],
    ['SELECT', 'finance.hr.reviews', 'deny', 'no SELECT on finance.hr.reviews'],
    ['USE SCHEMA', 'finance.ops', 'deny', 'no USE SCHEMA on finance.ops'],
  ],
);

cases(
  'a grant covers everything below, and nothing beside or above',
  'alice@x.io',
  [grants(enter, 'on: finance.hr, to: analysts, privileges: [SELECT, EXECUTE]')],
  [
    ['SELECT', 'finance.hr.payroll', 'allow', 'SELECT on finance.hr granted to analysts'],
    ['SELECT', 'finance.hr.yet_to_come', 'allow', 'SELECT on finance.hr granted to analysts'],
    ['EXECUTE', 'finance.hr.raise', 'allow', 'EXECUTE on finance.hr granted to analysts'],
    ['SELECT', 'finance.ops.assets', 'deny', 'no SELECT on finance.ops.assets'],
  ],
);

cases(
  'MODIFY needs SELECT too',
  'alice@x.io',
  [
    grants(enter, `on: ${salaries}, to: analysts, privileges: MODIFY`),
    grants('on: finance.hr.reviews, to: analysts, privileges: [MODIFY, SELECT]'),
  ],
  [
    ['MODIFY', salaries, 'deny', `no SELECT on ${salaries}`],
    ['MODIFY', 'finance.hr.reviews', 'allow', 'MODIFY on finance.hr.reviews granted to analysts'],
  ],
);

cases(
  'ALL PRIVILEGES is resolved when it is asked, and leaves out what it leaves out',
  'alice@x.io',
  [grants('on: finance, to: analysts, privileges: ALL_PRIVILEGES')],
  [
    ['SELECT', salaries, 'allow', 'ALL PRIVILEGES on finance granted to analysts gives SELECT'],
    ['MODIFY', salaries, 'allow', 'ALL PRIVILEGES on finance granted to analysts gives MODIFY'],
    ['EXECUTE', 'finance.hr.raise', 'allow', 'ALL PRIVILEGES on finance granted to analysts gives EXECUTE'],
    ['MANAGE', salaries, 'deny', `no MANAGE on ${salaries}`],
    ['MANAGE', 'finance', 'deny', 'no MANAGE on finance'],
    ['EXTERNAL USE SCHEMA', 'finance.hr', 'deny', 'no EXTERNAL USE SCHEMA on finance.hr'],
  ],
);

cases(
  'MANAGE inherits, needs the doors, and gives no data',
  'alice@x.io',
  [
    grants(
      'on: finance.hr, to: analysts, privileges: [MANAGE, USE SCHEMA]',
      'on: finance, to: analysts, privileges: USE CATALOG',
    ),
    grants('on: lake, to: analysts, privileges: MANAGE'),
  ],
  [
    ['MANAGE', salaries, 'allow', 'MANAGE on finance.hr granted to analysts'],
    ['SELECT', salaries, 'deny', `no SELECT on ${salaries}`],
    ['MODIFY', salaries, 'deny', `no SELECT on ${salaries}`],
    ['MANAGE', 'lake.raw.events', 'deny', 'no USE CATALOG on lake'],
  ],
);

cases(
  'the owner of a container manages what is below, and reads none of it',
  'alice@x.io',
  [owner('finance', 'analysts')],
  [
    ['MANAGE', salaries, 'allow', 'analysts owns finance'],
    ['USE SCHEMA', 'finance.hr', 'allow', 'analysts owns finance'],
    ['CREATE SCHEMA', 'finance', 'allow', 'analysts owns finance'],
    ['SELECT', salaries, 'deny', `no SELECT on ${salaries}`],
    ['CREATE TABLE', 'finance.hr', 'deny', 'no CREATE TABLE on finance.hr'],
  ],
);

cases(
  'who manages may be granted data, and then it stands in the files',
  'alice@x.io',
  [owner('finance', 'alice@x.io'), grants(`on: ${salaries}, to: alice@x.io, privileges: SELECT`)],
  [['SELECT', salaries, 'allow', `SELECT on ${salaries} granted to alice@x.io`]],
);

cases(
  'the owner of a table reads and changes it, once inside',
  'alice@x.io',
  [owner(salaries, 'alice@x.io'), grants(enter)],
  [
    ['SELECT', salaries, 'allow', `alice@x.io owns ${salaries}`],
    ['MODIFY', salaries, 'allow', `alice@x.io owns ${salaries}`],
    ['SELECT', 'finance.hr.reviews', 'deny', 'no SELECT on finance.hr.reviews'],
  ],
);

cases(
  'the owner of a table alone stays outside its container',
  'alice@x.io',
  [owner(salaries, 'alice@x.io')],
  [
    ['SELECT', salaries, 'deny', 'no USE CATALOG on finance'],
    ['BROWSE', salaries, 'allow', `alice@x.io owns ${salaries}`],
  ],
);

cases(
  'BROWSE shows that a thing exists, without any other door',
  'alice@x.io',
  [grants('on: finance, to: analysts, privileges: BROWSE')],
  [
    ['BROWSE', salaries, 'allow', 'BROWSE on finance granted to analysts'],
    ['USE CATALOG', 'finance', 'deny', 'no USE CATALOG on finance'],
    ['SELECT', salaries, 'deny', 'no USE CATALOG on finance'],
    ['BROWSE', 'lake.raw.events', 'deny', 'no BROWSE on lake.raw.events'],
  ],
);

cases(
  "the metastore's grants are not inherited; its owner manages everything",
  'alice@x.io',
  [grants('on: metastore, to: analysts, privileges: CREATE CATALOG'), owner('metastore', 'erin@x.io')],
  [
    ['CREATE CATALOG', 'metastore', 'allow', 'CREATE CATALOG on metastore granted to analysts'],
    ['CREATE SCHEMA', 'finance', 'deny', 'no USE CATALOG on finance'],
  ],
);

const deep = [grants(enter, 'on: finance.hr, to: analysts, privileges: SELECT')];
const through = 'SELECT on finance.hr granted to analysts (through experts → seniors)';
cases('erin, in experts in seniors in analysts', 'erin@x.io', deep, [['SELECT', salaries, 'allow', through]]);
cases('robot, a service principal in experts', 'robot', deep, [['SELECT', salaries, 'allow', through]]);
cases('lonely, a service principal in no group', 'lonely', deep, [
  ['SELECT', salaries, 'deny', 'no USE CATALOG on finance'],
]);
cases('ALICE@X.IO is alice@x.io', 'ALICE@X.IO', deep, [
  ['SELECT', salaries, 'allow', 'SELECT on finance.hr granted to analysts'],
]);

const mailing = `
kind: principals
groups: { list@x.io: { members: [lisa@x.io] }, outer: { members: [list@x.io] } }
`;
const toList = grants(
  'on: finance, to: [list@x.io], privileges: [USE CATALOG, USE SCHEMA]',
  'on: finance, to: outer, privileges: SELECT',
);
cases(
  'lisa, in the group that is called list@x.io',
  'lisa@x.io',
  [mailing, toList],
  [['SELECT', salaries, 'allow', 'SELECT on finance granted to outer (through list@x.io)']],
);
cases(
  'whoever signs in as list@x.io is not the group of that name',
  'list@x.io',
  [mailing, toList],
  [['SELECT', salaries, 'deny', 'no USE CATALOG on finance']],
);

const everybody = [
  grants("on: finance, to: [all users], privileges: [USE CATALOG, USE SCHEMA, SELECT], comment: 'open'"),
];
for (const who of ['nobody@x.io', 'lonely'])
  cases(`all users: ${who}, whom no file puts anywhere`, who, everybody, [
    ['SELECT', salaries, 'allow', 'SELECT on finance granted to all users'],
  ]);

cases(
  'carl, who claims claimed and analysts: only what is declared so counts',
  'carl@x.io',
  [
    grants(
      'on: finance, to: claimed, privileges: [USE CATALOG, USE SCHEMA]',
      'on: finance, to: analysts, privileges: SELECT',
    ),
  ],
  [
    ['USE SCHEMA', 'finance.hr', 'allow', 'USE SCHEMA on finance granted to claimed'],
    ['SELECT', salaries, 'deny', `no SELECT on ${salaries}`],
  ],
);

const expiring = (when: string) =>
  grants(enter, `on: finance, to: analysts, privileges: SELECT, expires: "${when}"`);
cases(
  'a grant lasts to the end of its day',
  'alice@x.io',
  [expiring('2026-05-05')],
  [['SELECT', salaries, 'allow', 'SELECT on finance granted to analysts']],
);
cases(
  'at its moment it is gone',
  'alice@x.io',
  [expiring('2026-05-05T12:00:00Z')],
  [['SELECT', salaries, 'deny', `no SELECT on ${salaries}`]],
);

for (const [tier, effect, last] of [
  ['production', 'allow', 'SELECT on finance granted to analysts'],
  ['test', 'deny', `no SELECT on ${salaries}`],
] as const)
  cases(
    `a grant for clusters of tier ${tier}`,
    'alice@x.io',
    [grants(enter, `on: finance, to: analysts, privileges: SELECT, clusters: { tier: ${tier} }`)],
    [['SELECT', salaries, effect, last]],
  );

describe('what a privilege is granted on', () => {
  const securables = {
    metastore: 'metastore',
    catalog: 'finance',
    schema: 'finance.hr',
    table: 'finance.hr.totals',
    function: 'finance.hr.raise',
    column: `${salaries}.mail`,
  } as const;
  test.each(privileges)('%s', async (privilege) => {
    const accepted: string[] = [];
    for (const [level, on] of Object.entries(securables)) {
      const { findings } = await compile(grants(`on: ${on}, to: analysts, privileges: ${privilege}`));
      if (!findings.some(({ severity }) => severity === 'error')) accepted.push(level);
    }
    expect(accepted.sort()).toEqual([...grantableOn[privilege]].sort());
  });

  test.each([
    ['REFRESH', salaries, 'REFRESH is granted on materialized views, not on the table finance.hr.salaries'],
    [
      'SELECT',
      'finance.hr.raise',
      'SELECT is granted on tables, schemas and catalogs, not on the function finance.hr.raise',
    ],
    ['BROWSE', salaries, 'BROWSE is granted on catalogs, not on the table finance.hr.salaries'],
    ['EXTERNAL USE LOCATION', 'finance', 'privileges: unknown privilege "EXTERNAL USE LOCATION"'],
  ])('%s on %s is refused in words', async (privilege, on, message) => {
    const { findings } = await compile(grants(`on: ${on}, to: analysts, privileges: ${privilege}`));
    expect(findings.map((finding) => finding.message)).toContain(message);
  });
});

describe('groups', () => {
  test.each([
    [
      'a cycle is an error with its path',
      'x: { members: [y] }, y: { members: [z] }, z: { members: [x] }',
      'groups contain themselves: x → y → z → x',
    ],
    [
      'members and a source exclude each other',
      'x: { members: [a@x.io], source: claim }',
      'group x has members and a source: one of both',
    ],
    [
      'SCIM feeds nobody yet, and it is said',
      'x: { source: scim }',
      'nobody is in x: this version of Writ is fed by no SCIM server',
    ],
    ['a member that is nobody', 'x: { members: [nosuch] }', 'no such group or service principal "nosuch"'],
    [
      'all users is no member',
      'x: { members: [all users] }',
      '"all users" cannot be a member: it is everybody',
    ],
  ])('%s', async (_title, text, message) => {
    const { findings } = await compile(`kind: principals\ngroups: { ${text} }\n`);
    expect(findings.map((finding) => finding.message)).toContain(message);
  });
});
