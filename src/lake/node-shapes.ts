import { isObject, type Json, type JsonObject, object, refuse, text } from './tree.ts';

// What the walk knows of the parts of DuckDB's tree that hold nothing but other parts.

export const operatorTypes: ReadonlySet<string> = new Set([
  'ARRAY_EXTRACT',
  'ARRAY_SLICE',
  'ARRAY_CONSTRUCTOR',
  'STRUCT_EXTRACT',
  'OPERATOR_NOT',
  'OPERATOR_IS_NULL',
  'OPERATOR_IS_NOT_NULL',
  'OPERATOR_COALESCE',
  'OPERATOR_NULLIF',
  'OPERATOR_UNPACK',
  'OPERATOR_TRY',
  'COMPARE_IN',
  'COMPARE_NOT_IN',
  'GROUPING_FUNCTION',
]);

/** Expressions that hold nothing but other expressions: the fields with those, and the fields that say something plain. */
export const plainExpressions: Readonly<
  Record<string, { children: readonly string[]; plain: readonly string[] }>
> = {
  BETWEEN: { children: ['input', 'lower', 'upper'], plain: [] },
  CASE: { children: ['case_checks', 'else_expr'], plain: [] },
  CAST: { children: ['child'], plain: ['cast_type', 'try_cast'] },
  COLLATE: { children: ['child'], plain: ['collation'] },
  COMPARISON: { children: ['left', 'right'], plain: [] },
  CONJUNCTION: { children: ['children'], plain: [] },
  LAMBDA: { children: ['lhs', 'expr'], plain: ['syntax_type'] },
  OPERATOR: { children: ['children'], plain: [] },
};

export function setOperands(node: JsonObject): readonly Json[] {
  const sides = [node['left'], node['right'], ...(Array.isArray(node['children']) ? node['children'] : [])];
  return sides.filter((side): side is Json => side !== null && side !== undefined);
}

/** Types of the engine itself, by plain name. */
export function checkType(value: Json | undefined): void {
  const type = object(value, 'type');
  const info = type['type_info'];
  if (!isObject(info)) return;
  if (info['type'] === 'UNBOUND_TYPE_INFO' && (info['catalog'] !== '' || info['schema'] !== '')) {
    refuse('a type with a schema');
  }
}

export function plainSchema(node: JsonObject): boolean {
  return (
    (node['catalog'] ?? '') === '' && ['', 'pg_catalog', 'main'].includes(text(node['schema'], 'function'))
  );
}

/** DuckDB says "nowhere" with the greatest 64-bit number. */
export function location(node: JsonObject): number {
  const at = node['query_location'];
  return typeof at === 'number' && Number.isSafeInteger(at) ? at : -1;
}
