import { never } from '../kernel/never.ts';
import type { PlanOperation } from './plan-operation.ts';
import type { GrantTarget } from './state.ts';

/** One operation in words, for the plan and for drift. */
export function describe(operation: PlanOperation): string {
  switch (operation.op) {
    case 'create-role':
      return `create role ${operation.role} (${operation.comment.replace(/^writ: /, '')})`;
    case 'restrict-role':
      return `take ${operation.attributes.join(', ')} from role ${operation.role}`;
    case 'drop-role':
      return `drop role ${operation.role}`;
    case 'grant-membership':
      return `put ${people(operation.members)} into ${operation.role}`;
    case 'revoke-membership':
      return `take ${people(operation.members)} out of ${operation.role}`;
    case 'grant':
      return `give ${operation.grantee} ${operation.privileges.join(', ')} on ${objects(operation.targets)}`;
    case 'revoke':
      return `take ${operation.privileges.join(', ')} on ${objects(operation.targets)} from ${operation.grantee}`;
    case 'grant-columns':
      return `give ${operation.grantee} ${[...operation.columns.keys()].join(', ')} on columns of ${operation.schema}.${operation.name}`;
    case 'revoke-columns':
      return `take ${[...operation.columns.keys()].join(', ')} on columns of ${operation.schema}.${operation.name} from ${operation.grantee}`;
    case 'install-schema':
      return 'install schema writ and its functions';
    case 'install-event-triggers':
      return 'install the event triggers that keep migrations going';
    case 'drop-event-triggers':
      return 'drop the event triggers';
    case 'create-schema':
    case 'drop-schema':
      return `${operation.op === 'create-schema' ? 'create' : 'drop'} schema ${operation.schema}`;
    case 'make-view':
      return `${viewVerbs[operation.how]} the ${operation.view.shape} view of ${operation.view.base.schema}.${operation.view.base.name} for the ${operation.view.door} door`;
    case 'drop-view':
      return `drop the view ${operation.schema}.${operation.name}`;
    case 'put-token-key':
      return `set the key of token() (fingerprint ${operation.fingerprint.slice(0, 16)})`;
    case 'remove-token-key':
      return 'remove the key of token()';
    case 'put-attributes':
    case 'remove-attributes':
      return `${operation.op === 'put-attributes' ? 'set' : 'remove'} ${count(operation.rows.length, 'attribute')} of ${people([...new Set(operation.rows.map((row) => row.principal))])}`;
    case 'put-exemptions':
    case 'remove-exemptions':
      return `${operation.op === 'put-exemptions' ? 'record' : 'remove'} ${count(operation.rows.length, 'exemption')}`;
    case 'put-memberships':
    case 'remove-memberships':
      return `${operation.op === 'put-memberships' ? 'record' : 'remove'} ${count(operation.rows.length, 'group membership')}`;
    default:
      return never(operation);
  }
}

const viewVerbs = { create: 'create', replace: 'replace', recreate: 'make again' } as const;

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

function people(names: readonly string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}

function objects(targets: readonly GrantTarget[]): string {
  const first = targets[0];
  const kind = first === undefined || first.kind === 'relation' ? '' : `${first.kind} `;
  return kind + people(targets.map(targetWords));
}

function targetWords(on: GrantTarget): string {
  switch (on.kind) {
    case 'database':
      return on.name;
    case 'schema':
      return on.schema;
    default:
      return `${on.schema}.${on.name}`;
  }
}
