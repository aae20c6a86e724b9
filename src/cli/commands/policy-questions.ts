import type { Command } from 'commander';
import { action, type CliContext, clientCommand } from '../context.ts';

interface AtOptions {
  readonly at?: string;
}

interface PageOptions extends AtOptions {
  readonly after?: string;
  readonly limit?: string;
}

/** Which snapshot of the past answered. */
interface AsOf {
  readonly at: string;
  readonly snapshot: string;
  readonly since: string;
  readonly until?: string;
  readonly appliedBy: string;
  readonly why: string;
  readonly source?: { readonly commit: string; readonly signers: readonly string[] };
  readonly note?: string;
}

interface Paged {
  readonly next?: string;
  readonly asOf?: AsOf;
}

const timeHelp = 'as it was then: 2026-11-23T10:00:00Z, or a date (the first moment of that day, UTC)';

/** explain, who-can, what-can: what the policy in force answers, or the one that was. */
export function policyQuestionCommands(policy: Command, context: CliContext): void {
  explainCommand(policy, context);
  paged(clientCommand(policy, 'who-can <privilege> <securable>', 'everybody who may')).action(
    action<[string, string], PageOptions>(context, async ({ api }, options, privilege, securable) => {
      const value = await api.call<Paged & { principals: string[] }>('POST', '/api/v1/policy/who-can', {
        privilege,
        securable,
        ...pageOf(options),
      });
      return { value, text: lines(value, value.principals, 'nobody') };
    }),
  );
  paged(
    clientCommand(policy, 'what-can <principal> <privilege>', 'every table and view on which somebody may'),
  ).action(
    action<[string, string], PageOptions>(context, async ({ api }, options, principal, privilege) => {
      const value = await api.call<Paged & { items: string[] }>('POST', '/api/v1/policy/what-can', {
        principal,
        privilege,
        ...pageOf(options),
      });
      return { value, text: lines(value, value.items, 'nothing') };
    }),
  );
}

function explainCommand(policy: Command, context: CliContext): void {
  clientCommand(policy, 'explain <principal> <privilege> <securable>', 'why somebody may or may not')
    .option('--at <time>', timeHelp)
    .action(
      action<[string, string, string], AtOptions>(
        context,
        async ({ api }, { at }, principal, privilege, securable) => {
          const value = await api.call<{ effect: string; text: string; asOf?: AsOf }>(
            'POST',
            '/api/v1/policy/explain',
            { principal, privilege, securable, at },
          );
          const text = [...told(value.asOf), value.text].join('\n');
          return { value, text, exit: value.effect === 'allow' ? 0 : 1 };
        },
      ),
    );
}

function paged(command: Command): Command {
  return command
    .option('--at <time>', timeHelp)
    .option('--after <name>', 'go on after this name')
    .option('--limit <n>', 'at most so many (1000)');
}

function pageOf({ at, after, limit }: PageOptions): object {
  return { at, after, limit };
}

/** An empty list is an answer too: `none` says it, for people (--json has the empty list). */
function lines({ next, asOf }: Paged, items: readonly string[], none: string): string {
  if (items.length === 0) return [...told(asOf), none].join('\n');
  const more = next === undefined ? [] : [`… and more: --after ${next}`];
  return [...told(asOf), ...items, ...more].join('\n');
}

/** `as of 2026-11-23T10:00:00.000Z: snapshot 0123abcd, in force since … until …, applied by pat@acme.test (commit c0ffee)` */
function told(asOf: AsOf | undefined): readonly string[] {
  if (asOf === undefined) return [];
  const { at, snapshot, since, until, appliedBy, why, source, note } = asOf;
  const commit = source === undefined ? '' : `, commit ${source.commit}`;
  const signers = source === undefined ? '' : ` signed by ${source.signers.join(', ') || 'nobody'}`;
  return [
    `as of ${at}: snapshot ${snapshot.slice(0, 8)}, in force since ${since} ${until === undefined ? 'until now' : `until ${until}`}`,
    `  ${why}, by ${appliedBy}${commit}${signers}`,
    ...(note === undefined ? [] : [`  ${note}`]),
  ];
}
