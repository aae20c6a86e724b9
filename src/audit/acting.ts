import type { PrincipalName } from '../kernel/principal.ts';
import type { AuditLog, NewEvent } from './log-interface.ts';

export interface Actor {
  readonly principal: PrincipalName;
  readonly credential: string;
}

/** The same log for work done on somebody's behalf: events that name nobody name the actor. */
export function actingAs(audit: AuditLog, { principal, credential }: Actor): AuditLog {
  return {
    append: (event) => audit.append({ principal, credential, ...event } as NewEvent),
    written: (place) => audit.written(place),
    whenWritten: (place, then) => audit.whenWritten(place, then),
    isWritten: (place) => audit.isWritten(place),
    flush: () => audit.flush(),
    healthy: () => audit.healthy(),
    folder: audit.folder,
    close: () => audit.close(),
  };
}
