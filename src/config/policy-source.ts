import { z } from 'zod';
import { referenceSchema } from './reference.ts';

// `policy.source` of writ.yaml: a folder, or a git repository and who is trusted to change it. Who is trusted stands
// here and in files that this names, outside the repository: no commit can change it.

/** What `git check-ref-format` allows, less everything that a shell, an option or a revision expression could be. */
const refPattern = /^(?!.*(?:\.\.|\/\/|\/\.|\.\/|\.lock(?:\/|$)))[A-Za-z0-9_][A-Za-z0-9._/-]*(?<![./])$/;
const folderPattern = /^(?:\.|(?!-)[^\\:\p{Cc}/]+(?:\/[^\\:\p{Cc}/]+)*)$/u;

const commitSchema = z
  .string()
  .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'a full commit id: 40 or 64 hexadecimal digits, lower-case');

const pathsSchema = z
  .array(
    z
      .string()
      .regex(
        /^(?!\/)(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^\\\p{Cc}]+$/u,
        'a path pattern from the top of the repository',
      ),
  )
  .min(1)
  .describe('From the top of the repository; `*` stays in a folder, `**` does not.');
const signersSchema = z
  .array(z.string().min(1))
  .min(1)
  .describe('Principals of the allowed-signers file; for OpenPGP the fingerprint of the primary key.');

const onSchema = z
  .array(z.string().min(1))
  .min(1)
  .optional()
  .describe('Securables that files there may speak of: no others, and no groups, attributes or tags.');

const trustSchema = z
  .strictObject({
    allowedSigners: z
      .string()
      .min(1)
      .optional()
      .describe("File in the format of git's gpg.ssh.allowedSignersFile: who may sign with which SSH key."),
    revokedSigners: z
      .string()
      .min(1)
      .optional()
      .describe('File of SSH keys (or a KRL) that count no longer, whenever they signed.'),
    gpgHome: z
      .string()
      .min(1)
      .optional()
      .describe('GnuPG folder whose public keyring holds exactly the keys that may sign.'),
    initial: commitSchema
      .optional()
      .describe('Trusted as it is: only what comes after must be signed. Absent: the whole history must be.'),
    delegations: z
      .array(z.strictObject({ paths: pathsSchema, signers: signersSchema, on: onSchema }))
      .default([])
      .describe('The most specific that names a path says who alone may change it.'),
    approvals: z
      .array(
        z.strictObject({
          paths: pathsSchema,
          by: signersSchema,
          count: z
            .int()
            .min(1)
            .max(10)
            .default(1)
            .describe('How many, the signer of the change not counted.'),
        }),
      )
      .default([])
      .describe('What others must approve: a signed commit that says `Approves: <commit id>`.'),
  })
  .check((context) => {
    const { allowedSigners, gpgHome, delegations } = context.value;
    const refuse = (path: (string | number)[], message: string) =>
      context.issues.push({ code: 'custom', input: context.value, path, message });
    if (allowedSigners === undefined && gpgHome === undefined)
      refuse([], 'name allowedSigners (SSH keys) or gpgHome (OpenPGP keys): whose signatures count?');
    const seen = new Set<string>();
    for (const [i, { paths }] of delegations.entries())
      for (const [j, path] of paths.entries()) {
        if (seen.has(path))
          refuse(['delegations', i, 'paths', j], `${path} is delegated twice: write one delegation`);
        seen.add(path);
      }
  });

const gitSchema = z.strictObject({
  git: referenceSchema.describe(
    'Path, https:// or ssh:// URL, or user@host:path; a token may stand in the URL.',
  ),
  ref: z
    .string()
    .regex(refPattern, 'the name of a branch (main), or a full ref (refs/tags/in-force)')
    .default('main'),
  folder: z
    .string()
    .regex(folderPattern, 'a folder inside the repository, such as policies; . is all of it')
    .refine((folder) => folder === '.' || !folder.split('/').some((part) => /^\.{0,2}$/.test(part)), {
      message: 'a folder inside the repository, without . and ..',
    })
    .default('policies')
    .describe('Where the policy files are in the repository.'),
  everySeconds: z.int().min(1).max(86_400).default(30).describe('How often the repository is asked.'),
  trust: z
    .union([z.literal('none'), trustSchema], {
      error: (issue) =>
        issue.input === undefined
          ? 'say whose signatures count, such as { allowedSigners: allowed_signers }, or `trust: none` to follow unsigned commits'
          : undefined,
    })
    .describe('Whose signatures count; `none`: whoever can push changes the policy.'),
});

export const policySourceSchema = z
  .union([z.string().min(1), gitSchema])
  .describe('Folder of policy files, or a git repository.');

export type GitSource = z.infer<typeof gitSchema>;
