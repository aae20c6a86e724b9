import type { AuditEvent } from './event.ts';

/** A place in the log: `written(place)` is true once the bytes are with the operating system (survive kill -9). */
export type Place = number;

/** The event as a caller gives it: id and time are filled in. */
export type NewEvent = AuditEvent extends infer E
  ? E extends AuditEvent
    ? Omit<E, 'id' | 'time'>
    : never
  : never;

/**
 * The append-only, hash-chained record. `append` queues; everything queued in one turn of the event loop is written by
 * one system call, in order. A statement's end may wait a few milliseconds for what comes next. A caller that may not go on before the record exists awaits `written` or calls `flush`.
 */
export interface AuditLog {
  /** @throws record_not_writable when an earlier write failed and has not been made good. */
  append(event: NewEvent): Place;
  /** Resolves when the place is written; rejects with record_not_writable. */
  written(place: Place): Promise<void>;
  /** Calls back in the same turn that wrote the place (no promise: hot path). */
  whenWritten(place: Place, then: (error: Error | undefined) => void): void;
  isWritten(place: Place): boolean;
  /** Writes now, synchronously. @throws record_not_writable */
  flush(): void;
  /** Whether records can be written at present; readiness asks. */
  healthy(): boolean;
  /** Folder with the segments. */
  readonly folder: string;
  close(): Promise<void>;
}
