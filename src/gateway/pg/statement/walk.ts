import { visitDelete, visitInsert, visitMerge, visitUpdate } from './change.ts';
import { columnReference, fieldsOf, functionCall, qualifiedName } from './expressions.ts';
import type { PartRecord } from './part.ts';
import { refused } from './problem.ts';
import { readRelation } from './relations.ts';
import type { Level } from './scopes.ts';
import { newLevel } from './scopes.ts';
import { visitFrom, visitSelect } from './select.ts';
import { asNode, list, locationOf, type Node, type Tree, type TreeObject } from './tree.ts';
import type { Walk } from './walk-model.ts';

// One walk over everything a statement holds. Kinds of nodes that are not listed are refused; fields are walked
// without regard to their names, so that no relation, function or query can stand where nobody looks.

/** Nodes whose meaning lies in their parts alone. */
const transparent: ReadonlySet<string> = new Set([
  ...[
    'A_ArrayExpr',
    'A_Const',
    'A_Indices',
    'A_Star',
    'Alias',
    'BitString',
    'Boolean',
    'BooleanTest',
    'BoolExpr',
  ],
  ...[
    'CaseExpr',
    'CaseWhen',
    'CoalesceExpr',
    'ColumnDef',
    'CTECycleClause',
    'CTESearchClause',
    'CurrentOfExpr',
  ],
  ...['DefElem', 'Float', 'GroupingFunc', 'GroupingSet', 'IndexElem', 'InferClause', 'Integer', 'List'],
  ...[
    'MergeSupportFunc',
    'MinMaxExpr',
    'MultiAssignRef',
    'NamedArgExpr',
    'NullTest',
    'ParamRef',
    'RangeFunction',
  ],
  ...[
    'RangeTableFunc',
    'RangeTableFuncCol',
    'ResTarget',
    'RowExpr',
    'SetToDefault',
    'SQLValueFunction',
    'String',
  ],
  ...[
    'TypeCast',
    'WindowDef',
    'XmlExpr',
    'XmlSerialize',
    'JsonAggConstructor',
    'JsonArgument',
    'JsonArrayAgg',
  ],
  ...['JsonArrayConstructor', 'JsonArrayQueryConstructor', 'JsonBehavior', 'JsonFormat', 'JsonFuncExpr'],
  ...[
    'JsonIsPredicate',
    'JsonKeyValue',
    'JsonObjectAgg',
    'JsonObjectConstructor',
    'JsonOutput',
    'JsonParseExpr',
  ],
  ...['JsonReturning', 'JsonScalarExpr', 'JsonSerializeExpr', 'JsonTable', 'JsonTableColumn'],
  ...['JsonTablePathSpec', 'JsonValueExpr'],
]);

type NodeVisitor = (walk: Walk, body: TreeObject, level: Level) => void;

const visitors: ReadonlyMap<string, NodeVisitor> = new Map<string, NodeVisitor>([
  ['SelectStmt', (walk, body, level) => void visitSelect(walk, body, level)],
  ['InsertStmt', (walk, body, level) => void visitInsert(walk, body, level)],
  ['UpdateStmt', (walk, body, level) => void visitUpdate(walk, body, level)],
  ['DeleteStmt', (walk, body, level) => void visitDelete(walk, body, level)],
  ['MergeStmt', (walk, body, level) => void visitMerge(walk, body, level)],
  ['RangeVar', (walk, body, level) => void readRelation(walk, body, level)],
  ['RangeSubselect', (walk, body, level) => visitFrom(walk, { RangeSubselect: body }, level)],
  ['JoinExpr', (walk, body, level) => visitFrom(walk, { JoinExpr: body }, level)],
  ['RangeTableSample', (walk, body, level) => visitFrom(walk, { RangeTableSample: body }, level)],
  ['ColumnRef', columnReference],
  [
    'FuncCall',
    (walk, body, level) => {
      functionCall(walk, body);
      visitFields(walk, body, level);
    },
  ],
  [
    'A_Indirection',
    (walk, body, level) => {
      fieldsOf(walk, body);
      visitFields(walk, body, level);
    },
  ],
  ['A_Expr', named('name')],
  ['SubLink', named('operName')],
  ['SortBy', named('useOp')],
  ['TypeName', named('names')],
  ['CollateClause', named('collname')],
]);

/** Nodes with a name that may be qualified. */
function named(field: string): NodeVisitor {
  return (walk, body, level) => {
    qualifiedName(walk, list(body, field), locationOf(body));
    visitFields(walk, body, level);
  };
}

export function createWalk(part: PartRecord): Walk {
  const walk: Walk = {
    part,
    visit: (tree, level) => visit(walk, tree, level),
    query: (tree, parent) => query(walk, asNode(tree), parent),
  };
  return walk;
}

function query(walk: Walk, node: Node | undefined, parent: Level | undefined): Level | undefined {
  switch (node?.kind) {
    case 'SelectStmt':
      return visitSelect(walk, node.body, parent);
    case 'InsertStmt':
      return visitInsert(walk, node.body, parent);
    case 'UpdateStmt':
      return visitUpdate(walk, node.body, parent);
    case 'DeleteStmt':
      return visitDelete(walk, node.body, parent);
    case 'MergeStmt':
      return visitMerge(walk, node.body, parent);
    default:
      if (node !== undefined) visitNode(walk, node, newLevel(parent));
      return undefined;
  }
}

function visit(walk: Walk, tree: Tree | undefined, level: Level): void {
  if (typeof tree !== 'object' || tree === null) return;
  if (isArray(tree)) {
    for (const item of tree) visit(walk, item, level);
    return;
  }
  const node = asNode(tree);
  if (node !== undefined) visitNode(walk, node, level);
  // Bare nodes: a relation is known by its field, a type's name by its own; the others are their parts.
  else if ('relname' in tree) readRelation(walk, tree, level);
  else if ('names' in tree && 'typemod' in tree) {
    qualifiedName(walk, list(tree, 'names'), locationOf(tree));
    visitFields(walk, tree, level);
  } else visitFields(walk, tree, level);
}

function visitNode(walk: Walk, node: Node, level: Level): void {
  const visitor = visitors.get(node.kind);
  if (visitor !== undefined) visitor(walk, node.body, level);
  else if (transparent.has(node.kind)) visitFields(walk, node.body, level);
  else
    walk.part.refuse(
      refused('refused_on_purpose', `${node.kind} is not supported inside a statement`, {
        detail: 'only what the gateway understands is let through',
        at: locationOf(node.body),
      }),
    );
}

function visitFields(walk: Walk, body: TreeObject, level: Level): void {
  for (const field in body) {
    const tree = body[field];
    if (typeof tree === 'object' && tree !== null) visit(walk, tree, level);
  }
}

function isArray(tree: Tree): tree is readonly Tree[] {
  return Array.isArray(tree);
}
