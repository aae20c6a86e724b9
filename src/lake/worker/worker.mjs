import { Socket } from 'node:net';
import { encodeFrame, encodeJson, FrameReader, kinds } from './frames.mjs';
import { lock, openUnlocked, searchPath } from './locked.mjs';
import { BadParameter, bindAll } from './parameters.mjs';
import { textOf } from './text.mjs';
import { parameterOid, postgresType } from './types.mjs';

// A worker: one DuckDB for one person, spoken to over file descriptor 3. It trusts its parent, who decided what may
// run; it guarantees that nothing outside the governed folders is opened, whatever the text says. Plain JavaScript, so
// that it runs from src/ (tests) and dist/ alike. It dies with the pipe: no orphan, whatever killed the parent.

const socket = new Socket({ fd: 3, readable: true, writable: true });
const reader = new FrameReader(256 * 1024 * 1024);
const runs = new Map();
const idle = [];
let config;
let views = { version: undefined, made: new Map() };
let turn = Promise.resolve();

const die = () => process.kill(process.pid, 'SIGKILL');
socket.on('end', die);
socket.on('close', die);
socket.on('error', die);

const { instance, connection: main } = await openUnlocked();
socket.on('data', (chunk) => {
  for (const frame of reader.push(chunk)) receive(frame);
});
send(encodeJson(0, { ready: true }));

function send(bytes) {
  return socket.write(bytes);
}

function receive({ kind, request, payload }) {
  if (kind !== kinds.json) return die();
  const message = JSON.parse(payload.toString('utf8'));
  if (message.op === 'credit') return runs.get(request)?.addCredit(message.count);
  if (message.op === 'cancel') return runs.get(request)?.cancel();
  const handler = handlers[message.op];
  if (handler === undefined) return die();
  handler(message, request).then(
    (answer) => answer !== undefined && send(encodeJson(request, { ok: answer })),
    (error) => send(encodeJson(request, { error: errorOf(error) })),
  );
}

const handlers = { lock: lockNow, parse, describe, run };

function errorOf(error) {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof BadParameter ? { message, sqlstate: error.sqlstate, safe: true } : { message };
}

async function lockNow(message) {
  await lock(main, message.config);
  config = message.config;
  return {};
}

async function parse({ text }) {
  const prepared = await main.prepare('select json_serialize_sql($1::varchar)');
  prepared.bindVarchar(1, text);
  const rows = (await prepared.runAndReadAll()).getRows();
  return { tree: rows[0][0] };
}

/** Columns and parameter types, without running. */
async function describe({ sql, governed }) {
  const connection = await take();
  try {
    const prepared = await inTurn(() => prepareWith(connection, sql, governed));
    return describePrepared(prepared);
  } finally {
    give(connection);
  }
}

function describePrepared(prepared) {
  const parameters = [];
  for (let i = 1; i <= prepared.parameterCount; i++) {
    parameters[Number(prepared.parameterName(i)) - 1] = parameterOid(prepared, i);
  }
  const known = Array.from({ length: prepared.columnCount }, (_, i) => prepared.columnTypeId(i) !== 0);
  const columns = known.map((isKnown, i) =>
    column(prepared.columnName(i), isKnown ? prepared.columnType(i) : undefined),
  );
  return { columns, parameters: Array.from(parameters, (oid) => oid ?? 0) };
}

/** The one heading by which clients look for a result that Postgres calls otherwise. */
const heading = (name) => (name === 'count_star()' ? 'count' : name);

function column(name, type) {
  const { oid, size } = type === undefined ? { oid: 0, size: -1 } : postgresType(type);
  return { name: heading(name), typeOid: oid, typeSize: size };
}

/** Views and the statements that read them are made one after the other: two sessions may differ in their snapshot. */
function inTurn(work) {
  const result = turn.then(work);
  turn = result.catch(() => undefined);
  return result;
}

async function prepareWith(connection, sql, governed) {
  await ensureViews(governed);
  try {
    return await connection.prepare(sql);
  } catch (error) {
    // Files that changed their shape since the view was made: make the views again, once.
    if (!/Contents of view were altered/.test(String(error)) || governed.views.length === 0) throw error;
    views = { version: undefined, made: new Map() };
    await ensureViews(governed);
    return connection.prepare(sql);
  }
}

async function ensureViews(governed) {
  if (views.version !== governed.version) {
    for (const name of views.made.keys()) await main.run(`drop view if exists ${name}`);
    views = { version: governed.version, made: new Map() };
  }
  for (const { name, sql } of governed.views) {
    if (views.made.get(name) === sql) continue;
    await main.run(`create or replace view ${name} as ${sql}`);
    views.made.set(name, sql);
  }
}

async function take() {
  const free = idle.pop();
  if (free !== undefined) return free;
  const connection = await instance.connect();
  if (config !== undefined) await connection.run(searchPath(config));
  return connection;
}

function give(connection) {
  if (idle.length < 8) idle.push(connection);
  else connection.closeSync();
}

async function run(message, request) {
  const flow = new Flow(message.credit);
  runs.set(request, flow);
  try {
    const connection = await take();
    try {
      await runOn(connection, message, request, flow);
    } finally {
      // A result that was not read to its end must not meet the next statement.
      if (flow.done) give(connection);
      else connection.closeSync();
    }
  } finally {
    runs.delete(request);
  }
}

async function runOn(connection, { sql, governed, parameters }, request, flow) {
  flow.onCancel = () => connection.interrupt();
  const pending = await inTurn(async () => {
    flow.check();
    const prepared = await prepareWith(connection, sql, governed);
    await bindAll(connection, prepared, parameters);
    flow.check();
    // From here on the plan stands: views that another session makes anew do not reach it.
    return prepared.startStream();
  });
  const result = await pending.getResult();
  const types = Array.from({ length: result.columnCount }, (_, i) => result.columnType(i));
  send(encodeJson(request, { columns: types.map((type, i) => column(result.columnName(i), type)) }));
  const printers = types.map(textOf);
  let rows = 0;
  for (;;) {
    await flow.credit();
    const chunk = await result.fetchChunk();
    flow.check();
    if (chunk === null || chunk.rowCount === 0) break;
    rows += chunk.rowCount;
    if (!send(encodeFrame(kinds.rows, request, encodeRows(chunk, printers)))) await drained();
  }
  flow.done = true;
  send(encodeJson(request, { end: rows }));
}

function drained() {
  return new Promise((resolve) => socket.once('drain', resolve));
}

/** Count of rows (4 bytes), then per row what a DataRow message holds: count (2), and per value its length (4) and text. */
function encodeRows(chunk, printers) {
  const columns = printers.map((print, i) => {
    const values = chunk.getColumnValues(i);
    return values.map((value) => print(value));
  });
  let size = 4 + chunk.rowCount * (2 + 4 * columns.length);
  for (const texts of columns) for (const text of texts) if (text !== null) size += Buffer.byteLength(text);
  const out = Buffer.allocUnsafe(size);
  let at = out.writeUInt32BE(chunk.rowCount, 0);
  for (let row = 0; row < chunk.rowCount; row++) {
    at = out.writeUInt16BE(columns.length, at);
    for (const texts of columns) {
      const text = texts[row];
      if (text === null) {
        at = out.writeInt32BE(-1, at);
      } else {
        const written = out.write(text, at + 4, 'utf8');
        out.writeInt32BE(written, at);
        at += 4 + written;
      }
    }
  }
  return out;
}

/** What the parent allows: so many batches ahead, and an end at any time. */
class Flow {
  done = false;
  onCancel = () => {};
  #credit;
  #cancelled = false;
  #waiting = undefined;

  constructor(credit) {
    this.#credit = credit;
  }

  addCredit(count) {
    this.#credit += count;
    this.#waiting?.();
  }

  cancel() {
    this.#cancelled = true;
    this.onCancel();
    this.#waiting?.();
  }

  check() {
    if (this.#cancelled) throw new Error('INTERRUPT Error: Interrupted!');
  }

  async credit() {
    while (this.#credit <= 0 && !this.#cancelled) {
      await new Promise((resolve) => {
        this.#waiting = resolve;
      });
      this.#waiting = undefined;
    }
    this.check();
    this.#credit--;
  }
}
