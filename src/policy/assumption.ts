import type { SecurableName } from '../kernel/securable-name.ts';
import type { PrincipalOrGroup } from './document.ts';

/** An `assume` grant: who may act as which unmanaged role of which catalog. */
export interface Assumption {
  readonly on: SecurableName;
  readonly role: string;
  readonly to: readonly PrincipalOrGroup[];
}
