import { createHash } from 'node:crypto';
import type { TableInfo } from '../catalog/model.ts';
import type { Door } from '../fleet/role-names.ts';
import { type Shape, shadowSchema } from '../fleet/shadow-names.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { formatSecurableName, lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { identifier, join, qualified, sql } from '../kernel/sql.ts';
import type { Snapshot } from '../policy/model.ts';
import { isRuled, isView, type Need, type Needs, needKey, needOf, schemaOf, tableAt } from './needs.ts';
import { relationRef, shadowView } from './shadow-view.ts';
import { keyOf, type RelationRef, type ShadowView, type ViewPin } from './state.ts';
import { copyView, type Replacement } from './view-copy.ts';

// Which shadow views a database needs, each with what it is made from. Pure but for the parser, which is loaded before.

export interface BuiltView {
  readonly view: ShadowView;
  readonly need: Need;
  /** Catalog functions that the copy calls: its readers need EXECUTE. */
  readonly functions: readonly { schema: string; name: string }[];
}

export interface BuiltViews {
  /** What a copy reads comes before it. */
  readonly views: readonly BuiltView[];
  readonly exemptions: ReadonlySet<string>;
  readonly notOffered: readonly string[];
}

export function buildViews(snapshot: Snapshot, catalog: SecurableName, needs: Needs): BuiltViews {
  const copies = new Copies(snapshot, catalog, needs);
  for (const need of [...needs.values()]) {
    if (need.target !== 'base' && isView(need.table)) copies.resolve(need);
  }
  copies.dropRefused();
  for (const need of [...needs.values()])
    copies.spreadReaders(need, [...need.readers, ...need.inserters, ...need.writers]);
  const views: BuiltView[] = [];
  const exemptions = new Set<string>();
  for (const need of needs.values()) {
    if (need.target === 'base' || isView(need.table) || isUnused(need)) continue;
    const built = buildTableView(snapshot, need, need.target);
    for (const policy of built.exemptions) exemptions.add(policy);
    views.push({ view: built.view, need, functions: [] });
  }
  return { views: [...views, ...copies.inOrder()], exemptions, notOffered: copies.refusals() };
}

function buildTableView(snapshot: Snapshot, need: Need, shape: Shape) {
  return shadowView({
    table: need.table,
    door: need.door,
    shape,
    rules: snapshot.tableRules(need.table.name),
    readers: new Set([...need.readers, ...need.indirect, ...need.inserters, ...need.writers]),
    binds: (rule, reader) => snapshot.binds(rule.audience, reader),
    written: need.inserters.size > 0 || need.writers.size > 0,
  });
}

type Resolved =
  | {
      readonly kind: 'copied';
      readonly body: string;
      readonly refs: readonly RelationRef[];
      readonly pins: readonly ViewPin[];
      readonly dependsOn: readonly string[];
      readonly functions: readonly { schema: string; name: string }[];
      readonly mentions: readonly string[];
    }
  | { readonly kind: 'refused'; readonly because: string };

class Copies {
  private readonly snapshot: Snapshot;
  private readonly catalog: SecurableName;
  private readonly needs: Needs;
  private readonly resolved = new Map<string, Resolved>();

  constructor(snapshot: Snapshot, catalog: SecurableName, needs: Needs) {
    this.snapshot = snapshot;
    this.catalog = catalog;
    this.needs = needs;
  }

  resolve(need: Need): Resolved {
    const key = keyOfNeed(need);
    const known = this.resolved.get(key);
    if (known !== undefined) return known;
    this.resolved.set(key, { kind: 'refused', because: 'it reads itself' });
    const shape = need.target === 'base' ? 'governed' : need.target;
    const result = isRuled(this.snapshot, need.table)
      ? this.copy(need.table, need.door, shape)
      : passThrough(this.snapshot, need);
    this.resolved.set(key, result);
    return result;
  }

  private copy(table: TableInfo, door: Door, shape: Shape): Resolved {
    const refs = new Map<SecurableName, RelationRef>();
    const dependsOn = new Set<string>();
    const mentions = new Set([lastPart(table.name)]);
    const copied = copyView(table.definition ?? '', {
      relation: (schema, name) => {
        mentions.add(name);
        return this.replacement(schema, name, door, shape, refs, dependsOn);
      },
      refuseFunction: (schema, name) => this.refuseFunction(schema, name),
      isAggregate: (name) => this.isAggregate(name),
    });
    if (copied.kind === 'refused') return copied;
    const kept = [...refs.keys()].flatMap((name) => this.snapshot.catalog.tables.get(name) ?? []);
    const pins = kept.flatMap((read) => pinsOf(this.snapshot, read, true));
    return { ...copied, refs: [...refs.values()], pins, dependsOn: [...dependsOn], mentions: [...mentions] };
  }

  private replacement(
    schema: string,
    name: string,
    door: Door,
    shape: Shape,
    refs: Map<SecurableName, RelationRef>,
    dependsOn: Set<string>,
  ): Replacement {
    const table = tableAt(this.snapshot, this.catalog, schema, name);
    if (table === undefined || table.oid === undefined) {
      return {
        kind: 'refuse',
        because: `it reads ${schema}.${name}, which is no table of the catalog by itself`,
      };
    }
    const ruled = isRuled(this.snapshot, table);
    if (!ruled && door === 'gateway') {
      const ref = relationRef(table);
      refs.set(table.name, ref);
      return { kind: 'keep' };
    }
    const target = needOf(this.needs, table, door, ruled ? shape : 'governed');
    if (isView(table)) {
      const inner = this.resolve(target);
      if (inner.kind === 'refused')
        return { kind: 'refuse', because: `it reads ${table.name}, and that one: ${inner.because}` };
    }
    dependsOn.add(keyOfNeed(target));
    return { kind: 'replace', schema: shadowSchema(schema, door, ruled ? shape : 'governed'), name };
  }

  private refuseFunction(schema: string, name: string): string | undefined {
    const functions = this.functionsAt(schema, name);
    if (functions.length === 0) return undefined; // of an extension: runs with the rights of whoever asks
    const definer = functions.find((one) => one.securityDefiner);
    return definer === undefined
      ? undefined
      : `it calls ${schema}.${name}, which runs with the rights of ${definer.engineOwner}`;
  }

  private functionsAt(schema: string, name: string) {
    return (
      this.snapshot.catalog.functions.get(formatSecurableName([...nameParts(this.catalog), schema, name])) ??
      []
    );
  }

  private isAggregate(name: string): boolean {
    return [...this.snapshot.catalog.functions.values()]
      .flat()
      .some((one) => one.kind === 'AGGREGATE' && lastPart(one.name) === name);
  }

  dropRefused(): void {
    for (const [key, result] of this.resolved) if (result.kind === 'refused') this.needs.delete(key);
  }

  spreadReaders(need: Need, readers: readonly PrincipalName[]): void {
    const result = this.resolved.get(keyOfNeed(need));
    if (result === undefined || result.kind === 'refused') return;
    for (const key of result.dependsOn) {
      const inner = this.needs.get(key);
      if (inner === undefined) continue;
      for (const reader of readers) inner.indirect.add(reader);
      this.spreadReaders(inner, readers);
    }
  }

  /** Copies, each after those that it reads. */
  inOrder(): readonly BuiltView[] {
    const done = new Map<string, BuiltView>();
    const add = (key: string): void => {
      const need = this.needs.get(key);
      const result = this.resolved.get(key);
      if (
        done.has(key) ||
        need === undefined ||
        result === undefined ||
        result.kind === 'refused' ||
        isUnused(need)
      )
        return;
      for (const inner of result.dependsOn) add(inner);
      done.set(key, { view: this.viewOf(need, result), need, functions: result.functions });
    };
    for (const key of this.resolved.keys()) add(key);
    return [...done.values()];
  }

  private viewOf(need: Need, result: Extract<Resolved, { kind: 'copied' }>): ShadowView {
    const base = relationRef(need.table);
    const shape = need.target === 'base' ? 'governed' : need.target;
    return {
      schema: shadowSchema(base.schema, need.door, shape),
      name: base.name,
      door: need.door,
      shape,
      // A view that is dropped and made again with the same text is the same to us; its text is compared instead.
      base: { ...base, oid: 0 },
      columns: [...need.table.columns]
        .sort((a, b) => a.position - b.position)
        .map((column) => ({
          name: column.name,
          attnum: column.position,
          type: column.engineType,
          expression: null,
        })),
      ruled: [],
      where: null,
      barrier: false,
      checkOption: false,
      body: result.body,
      definition: textHash(need.table),
      refs: result.refs,
      pins: result.pins,
      dependsOn: result.dependsOn.flatMap((key) => {
        const inner = this.needs.get(key);
        if (inner === undefined) return [];
        const innerShape = inner.target === 'base' ? 'governed' : inner.target;
        return [
          {
            schema: shadowSchema(schemaOf(inner.table), inner.door, innerShape),
            name: lastPart(inner.table.name),
          },
        ];
      }),
      mentions: result.mentions,
    };
  }

  refusals(): readonly string[] {
    const seen = new Map<string, string>();
    for (const [key, result] of this.resolved) {
      if (result.kind === 'refused') seen.set(String((JSON.parse(key) as unknown[])[0]), result.because);
    }
    return [...seen].map(([table, because]) => `${table} is not offered, because ${because}`);
  }
}

/** A copy asked for it and was refused afterwards. */
const isUnused = (need: Need): boolean =>
  need.readers.size + need.inserters.size + need.writers.size + need.indirect.size === 0;

const keyOfNeed = (need: Need): string => needKey(need.table.name, need.door, need.target);

/** Views beneath a relation, each once; `self`: it too, if it is one. */
function pinsOf(snapshot: Snapshot, table: TableInfo, self: boolean): readonly ViewPin[] {
  if (!isView(table)) return [];
  const { schema, name } = relationRef(table);
  const beneath = (table.reads ?? []).flatMap((read) => {
    const info = snapshot.catalog.tables.get(read);
    return info === undefined ? [] : pinsOf(snapshot, info, true);
  });
  const all = self ? [{ schema, name, definition: textHash(table) }, ...beneath] : beneath;
  return [...new Map(all.map((pin) => [keyOf(pin.schema, pin.name), pin])).values()];
}

const textHash = (view: TableInfo): string =>
  createHash('md5')
    .update(view.definition ?? '')
    .digest('hex');

/** An unruled view as it is, for direct logins behind the lease. */
function passThrough(snapshot: Snapshot, need: Need): Resolved {
  const base = relationRef(need.table);
  const columns = [...need.table.columns]
    .sort((a, b) => a.position - b.position)
    .map((column) => identifier(column.name));
  const gate = need.door === 'direct' ? sql` where (select writ.lease_live())` : sql``;
  const body = sql`select ${join(columns)} from ${qualified(base.schema, base.name)}${gate}`;
  const pins = pinsOf(snapshot, need.table, false);
  return {
    kind: 'copied',
    body: body.text,
    refs: [],
    pins,
    dependsOn: [],
    functions: [],
    mentions: [base.name, ...pins.map((pin) => pin.name)],
  };
}
