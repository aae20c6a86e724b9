import type { Command } from 'commander';
import { action, type CliContext, clientCommand } from '../context.ts';

/** explain, who-can: what the policy in force answers. */
export function policyQuestionCommands(policy: Command, context: CliContext): void {
  clientCommand(policy, 'explain <principal> <privilege> <securable>', 'why somebody may or may not').action(
    action<[string, string, string], object>(
      context,
      async ({ api }, _options, principal, privilege, securable) => {
        const value = await api.call<{ effect: string; text: string }>('POST', '/api/v1/policy/explain', {
          principal,
          privilege,
          securable,
        });
        return { value, text: value.text, exit: value.effect === 'allow' ? 0 : 1 };
      },
    ),
  );
  clientCommand(policy, 'who-can <privilege> <securable>', 'everybody who may').action(
    action<[string, string], object>(context, async ({ api }, _options, privilege, securable) => {
      const value = await api.call<{ principals: string[] }>('POST', '/api/v1/policy/who-can', {
        privilege,
        securable,
      });
      return { value, text: value.principals.join('\n') };
    }),
  );
}
