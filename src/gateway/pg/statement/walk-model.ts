import type { PartRecord } from './part.ts';
import type { Level } from './scopes.ts';
import type { Tree } from './tree.ts';

/** The walk over one statement: every file of it goes on through `visit`. */
export interface Walk {
  readonly part: PartRecord;
  /** Walks whatever it is given: lists, wrapped nodes, bare ones. */
  visit(tree: Tree | undefined, level: Level): void;
  /** Walks a query (SELECT or a data change) as a level below `parent`. @returns its level */
  query(tree: Tree | undefined, parent: Level | undefined): Level | undefined;
}
