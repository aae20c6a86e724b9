import { metastore, nameParts, type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import type { AssignEntry, TagCondition } from './document.ts';

const none: ReadonlyMap<string, string> = new Map();

/** Tags as assigned, and as they hold: inherited catalog → schema → table, the lower overrides; columns by their own. */
export class Tags {
  readonly #own = new Map<SecurableName, Map<string, string>>();
  readonly #columns = new Map<SecurableName, SecurableName[]>();
  readonly #effective = new Map<SecurableName, ReadonlyMap<string, string>>();

  constructor(assign: readonly AssignEntry[]) {
    for (const entry of assign)
      for (const { value: on } of entry.on) {
        const own = this.#own.get(on) ?? new Map<string, string>();
        for (const { tag, value } of entry.tags) own.set(tag.value, value.value);
        if (!this.#own.has(on)) this.#note(on);
        this.#own.set(on, own);
      }
  }

  /** Remembers tagged columns by their table. */
  #note(on: SecurableName): void {
    if (nameParts(on).length !== 4) return;
    const [, table = metastore] = withAncestors(on);
    const columns = this.#columns.get(table) ?? [];
    columns.push(on);
    this.#columns.set(table, columns);
  }

  own(on: SecurableName): ReadonlyMap<string, string> {
    return this.#own.get(on) ?? none;
  }

  /** Columns of the table that carry any tag. */
  taggedColumns(table: SecurableName): readonly SecurableName[] {
    return this.#columns.get(table) ?? [];
  }

  of(on: SecurableName): ReadonlyMap<string, string> {
    if (nameParts(on).length === 4) return this.own(on);
    const known = this.#effective.get(on);
    if (known !== undefined) return known;
    const [, parent] = withAncestors(on);
    const inherited = parent === undefined ? none : this.of(parent);
    const own = this.#own.get(on);
    const found = own === undefined ? inherited : new Map([...inherited, ...own]);
    this.#effective.set(on, found);
    return found;
  }
}

/** Whether all conditions hold on these tags. */
export function holds(conditions: readonly TagCondition[], tags: ReadonlyMap<string, string>): boolean {
  return conditions.every(({ tag, values }) => {
    const value = tags.get(tag.value);
    return value !== undefined && (values === true || values.some((wanted) => wanted.value === value));
  });
}
