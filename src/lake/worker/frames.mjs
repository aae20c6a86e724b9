// Frames between a worker and its parent: length (4 bytes, of what follows), kind (1), request (4), payload.
// Both sides import this file, so that they cannot disagree.

export const kinds = Object.freeze({ json: 0, rows: 1 });

const headSize = 5;

/**
 * @param {number} kind
 * @param {number} request
 * @param {Buffer} payload
 * @returns {Buffer}
 */
export function encodeFrame(kind, request, payload) {
  const out = Buffer.allocUnsafe(4 + headSize + payload.length);
  out.writeUInt32BE(headSize + payload.length, 0);
  out.writeUInt8(kind, 4);
  out.writeUInt32BE(request, 5);
  payload.copy(out, 9);
  return out;
}

/**
 * @param {number} request
 * @param {unknown} value
 */
export function encodeJson(request, value) {
  return encodeFrame(kinds.json, request, Buffer.from(JSON.stringify(value), 'utf8'));
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  /** @type {Buffer[]} */
  #chunks = [];
  #size = 0;
  #limit;

  /** @param {number} limit bytes of one frame; more is an error */
  constructor(limit) {
    this.#limit = limit;
  }

  /**
   * @param {Buffer} chunk
   * @returns {{ kind: number, request: number, payload: Buffer }[]}
   */
  push(chunk) {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next() {
    if (this.#size < 4) return undefined;
    const length = this.#peekLength();
    if (length > this.#limit || length < headSize) throw new Error(`a frame of ${length} bytes`);
    if (this.#size < 4 + length) return undefined;
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const frame = all.subarray(4, 4 + length);
    const rest = all.subarray(4 + length);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
    return { kind: frame[0], request: frame.readUInt32BE(1), payload: frame.subarray(headSize) };
  }

  #peekLength() {
    if (this.#chunks[0].length < 4) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0].readUInt32BE(0);
  }
}
