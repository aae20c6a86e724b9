import type { Decision } from '../../kernel/decision.ts';
import { WritError } from '../../kernel/errors.ts';
import type { BoundRules, Snapshot } from '../model.ts';
import { type Asker, noRow, noValue, printFilter, printMask } from './expressions.ts';
import { isOpenTable, read, refusal, type TrinoQuestion } from './gates.ts';
import { columnsNamed, TrinoNames, type TrinoPlace, trinoPrincipal } from './names.ts';
import { type TrinoOperation, trinoOperations } from './operations.ts';
import type { TrinoColumn, TrinoRequest, TrinoResource, TrinoTable } from './request.ts';

type Action = TrinoRequest['input']['action'];

export interface TrinoAnswer {
  readonly decision: Decision;
  readonly record: TrinoOperation['record'];
}

type TableParts = Pick<TrinoTable, 'catalogName' | 'schemaName' | 'tableName'>;

/** The rules that bind who may read; `all` for Trino's own tables; `nothing` for who may not, and for what is not known. */
type Readable = { readonly asker: Asker; readonly bound: BoundRules } | 'all' | 'nothing';

/** What the policy says through Trino. Made once per snapshot; printed expressions are kept. */
export class TrinoPolicy {
  readonly #snapshot: Snapshot;
  readonly #names: TrinoNames;
  readonly #operations: ReadonlyMap<string, TrinoOperation>;
  readonly #filters = new Map<string, readonly string[]>();

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    this.#names = new TrinoNames(snapshot.catalog);
    this.#operations = new Map(trinoOperations.map((operation) => [operation.name, operation]));
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** One operation on one resource. What is not known is refused, and says so. */
  allow(user: string, action: Action): TrinoAnswer {
    const operation = this.#operations.get(action.operation);
    if (operation === undefined)
      return { decision: refusal('an operation that is not known'), record: 'refusals' };
    const question = this.#question(user, action.resource, action.targetResource);
    const decision = question === undefined ? refusal('nobody of that name') : operation.gate(question);
    return { decision, record: operation.record };
  }

  /** Positions of what may be seen, of the resources or (FilterColumns) of the one table's columns. @throws invalid_argument */
  filter(user: string, action: Action): readonly number[] {
    const operation = this.#operations.get(action.operation);
    const resources = action.filterResources;
    if (operation?.record !== 'nothing' || resources === undefined)
      throw new WritError('invalid_argument', {
        message: `${action.operation} is no filter over filterResources`,
      });
    if (operation.name === 'FilterColumns') return this.#filterColumns(user, operation, resources);
    return positions(resources, (resource) => this.#shows(user, operation, resource));
  }

  #filterColumns(user: string, operation: TrinoOperation, resources: readonly TrinoResource[]) {
    const [resource] = resources;
    const table = resource?.table;
    if (resources.length !== 1 || table === undefined)
      throw new WritError('invalid_argument', { message: 'FilterColumns takes one table with its columns' });
    const columns = table.columns ?? [];
    if (!this.#shows(user, operation, resource)) return [];
    const place = this.#place(table);
    if (place.kind !== 'governed') return positions(columns, () => true);
    const { info } = place;
    return positions(columns, (name) => info !== undefined && columnsNamed(info, name).length > 0);
  }

  #shows(user: string, operation: TrinoOperation, resource: TrinoResource | undefined): boolean {
    const question = this.#question(user, resource, undefined);
    return question !== undefined && operation.gate(question).effect === 'allow';
  }

  /** All must hold. `false` for a table that is not known or not the person's to read. @throws invalid_argument */
  rowFilters(user: string, { resource }: Action): readonly string[] {
    const table = resource?.table;
    if (table === undefined) throw new WritError('invalid_argument', { message: 'GetRowFilters: no table' });
    const key = JSON.stringify([user, table.catalogName, table.schemaName, table.tableName]);
    const known = this.#filters.get(key);
    if (known !== undefined) return known;
    if (this.#filters.size >= 100_000) this.#filters.clear();
    const found = this.#printFilters(user, table);
    this.#filters.set(key, found);
    return found;
  }

  #printFilters(user: string, table: TableParts): readonly string[] {
    const readable = this.#readable(user, table);
    if (readable === 'all') return [];
    if (readable === 'nothing') return [noRow];
    const { asker, bound } = readable;
    return bound.filters.map((rule) => printFilter(asker, rule));
  }

  /** One entry per column: its mask, or undefined where it is shown as it is. */
  columnMasks(user: string, columns: readonly TrinoColumn[]): readonly (string | undefined)[] {
    // A request is about one table as a rule: what holds for the table is found once.
    const tables = new Map<string, Readable>();
    return columns.map((column) => {
      const key = JSON.stringify([column.catalogName, column.schemaName, column.tableName]);
      const readable = tables.get(key) ?? this.#readable(user, column);
      tables.set(key, readable);
      return this.#mask(readable, column);
    });
  }

  #mask(readable: Readable, { columnName, columnType }: TrinoColumn): string | undefined {
    if (readable === 'all') return undefined;
    if (readable === 'nothing') return noValue;
    const [info, ...others] = columnsNamed(readable.asker.table, columnName);
    // A column that we have not seen yet may be anything; two of one name cannot be told apart.
    if (info === undefined || others.length > 0) return noValue;
    const rule = readable.bound.masks.get(info.name);
    return rule === undefined ? undefined : printMask(readable.asker, rule, columnType);
  }

  #place({ catalogName, schemaName, tableName }: TableParts): TrinoPlace {
    return this.#names.table(catalogName, schemaName, tableName);
  }

  #readable(user: string, { catalogName, schemaName, tableName }: TableParts): Readable {
    const table = { catalogName, schemaName, tableName };
    const place = this.#place(table);
    if (isOpenTable(place)) return 'all';
    const question = this.#question(user, { table }, undefined);
    if (question === undefined || read(question).effect === 'deny') return 'nothing';
    if (place.kind !== 'governed') return 'all';
    if (place.info === undefined) return 'nothing';
    const { principal } = question;
    const asker = { snapshot: this.#snapshot, principal, table: place.info };
    return { asker, bound: this.#snapshot.boundRules(principal, place.on) };
  }

  #question(
    user: string,
    resource: TrinoResource | undefined,
    target: TrinoResource | undefined,
  ): TrinoQuestion | undefined {
    const snapshot = this.#snapshot;
    const principal = trinoPrincipal(snapshot, user);
    if (principal === undefined) return undefined;
    return { snapshot, names: this.#names, principal, resource: resource ?? {}, target };
  }
}

function positions<T>(items: readonly T[], keep: (item: T) => boolean): readonly number[] {
  return items.flatMap((item, i) => (keep(item) ? [i] : []));
}
