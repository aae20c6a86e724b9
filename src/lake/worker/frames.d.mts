export const kinds: { readonly json: 0; readonly rows: 1 };

export interface WorkerFrame {
  readonly kind: number;
  readonly request: number;
  readonly payload: Buffer;
}

export function encodeFrame(kind: number, request: number, payload: Buffer): Buffer;
export function encodeJson(request: number, value: unknown): Buffer;

/** Cuts a byte stream into frames. */
export class FrameReader {
  /** @param limit bytes of one frame; more is an error */
  constructor(limit: number);
  push(chunk: Buffer): WorkerFrame[];
}
