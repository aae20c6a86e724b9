import type { SecurableName } from '../kernel/securable-name.ts';
import type { Sql } from '../kernel/sql.ts';

/** `open-to-managed`: a login that Writ issues can use it; blocks direct credentials. `reported`: others can. */
export type DoctorSeverity = 'open-to-managed' | 'reported';

/** One way around the policy. */
export interface DoctorFinding {
  /** Stable from run to run: `public-connect:postgres`. Operators accept by it. */
  readonly id: string;
  readonly severity: DoctorSeverity;
  readonly title: string;
  readonly why: string;
  /** The object, in words: `database postgres`. */
  readonly where: string;
  /** What `harden` would run; absent where SQL cannot close it. */
  readonly fix?: readonly Sql[];
  /** Whether an operator may accept it by name instead of closing it. */
  readonly accepts: boolean;
  /** What `harden` takes from PUBLIC and remembers. */
  readonly closes?: readonly PublicPrivilege[];
}

export interface DoctorContext {
  readonly catalog: SecurableName;
  /** Tables with rules, their partitions, and the views that show their rows (`ruledRelations`). */
  readonly ruled: ReadonlySet<SecurableName>;
}

/** Something that PUBLIC holds and that harden can take away and give back. */
export interface PublicPrivilege {
  readonly class: 'database' | 'schema' | 'relation' | 'function' | 'server' | 'wrapper';
  readonly oid: number;
  /** 0: the whole object. */
  readonly attnum: number;
  /** As GRANT names it: `routine public.f(integer)`. */
  readonly target: string;
  readonly column: string | undefined;
  /** `EXECUTE`, `CONNECT`, … */
  readonly privilege: string;
}
