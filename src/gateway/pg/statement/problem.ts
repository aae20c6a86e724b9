import { type Decision, formatReason, type Reason } from '../../../kernel/decision.ts';
import { type ErrorCode, WritError } from '../../../kernel/errors.ts';
import { lastPart, type SecurableName, withAncestors } from '../../../kernel/securable-name.ts';
import type { Snapshot } from '../../../policy/model.ts';
import { characterAt } from './source.ts';

/** Why a statement is refused; the first one found becomes the client's error, all of them stand in the decision. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly sqlstate?: string;
  /** Byte offset in the client's text. */
  readonly at?: number;
  readonly reasons: readonly Reason[];
}

/** Not a matter of rights: the rule stands in the message and in the decision. */
export function refused(
  code: ErrorCode,
  message: string,
  more: {
    detail?: string;
    hint?: string;
    sqlstate?: string;
    at?: number | undefined;
    on?: SecurableName;
  } = {},
): Problem {
  const { on, at, ...rest } = more;
  const reason: Reason =
    on === undefined ? { kind: 'refused', rule: message } : { kind: 'refused', rule: message, on };
  return { code, message, reasons: [reason], ...rest, ...(at === undefined ? {} : { at }) };
}

/** A denied decision, as Postgres words it: `permission denied for table customers`. */
export function denied(
  snapshot: Snapshot,
  decision: Decision,
  what: string,
  on: SecurableName,
  at: number | undefined,
): Problem {
  const detail = decision.because.map(formatReason).join('; ') || 'nothing allows it';
  return {
    code: 'permission_denied',
    message: `permission denied for ${what} ${lastPart(on)}`,
    detail,
    hint: whomToAsk(snapshot, on),
    reasons: decision.because,
    ...(at === undefined ? {} : { at }),
  };
}

export function whomToAsk(snapshot: Snapshot, on: SecurableName): string {
  for (const name of withAncestors(on)) {
    const owner = snapshot.owner(name);
    if (owner !== undefined) return `Ask ${owner}, the owner of ${name}.`;
  }
  return 'Ask those who keep the policy files.';
}

/** @param bytes the client's text, one character per UTF-8 byte */
export function toError(problem: Problem, bytes: string): WritError {
  const { code, message, detail, hint, sqlstate, at } = problem;
  return new WritError(code, {
    message,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(sqlstate === undefined ? {} : { sqlstate }),
    ...(at === undefined ? {} : { position: characterAt(bytes, at) }),
  });
}
