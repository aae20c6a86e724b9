// The portable expression language as a closed union: what a printer does not know does not compile.

export type ExpressionType =
  | 'text'
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'boolean'
  | 'date'
  | 'timestamptz'
  | 'timestamp'
  | 'uuid'
  | 'text[]';

export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';
export type ArithmeticOperator = '+' | '-' | '*';
export type TextFunction = 'left' | 'right' | 'substring' | 'split_part' | 'length';

/** Every node carries its type; `null` literals take the type that their place demands. */
export type Expression =
  | { readonly kind: 'column'; readonly name: string; readonly type: ExpressionType }
  | {
      readonly kind: 'literal';
      readonly value: string | number | boolean | null;
      readonly type: ExpressionType;
    }
  | {
      readonly kind: 'compare';
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly type: 'boolean';
    }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Expression[]; readonly type: 'boolean' }
  | { readonly kind: 'not'; readonly operand: Expression; readonly type: 'boolean' }
  | {
      readonly kind: 'is-null';
      readonly operand: Expression;
      readonly negated: boolean;
      readonly type: 'boolean';
    }
  | {
      readonly kind: 'in';
      readonly operand: Expression;
      readonly list: readonly Expression[];
      readonly negated: boolean;
      readonly type: 'boolean';
    }
  /** `operand = any(attribute('x'))` */
  | {
      readonly kind: 'any';
      readonly operand: Expression;
      readonly array: Expression;
      readonly type: 'boolean';
    }
  | {
      readonly kind: 'case';
      readonly branches: readonly { readonly when: Expression; readonly then: Expression }[];
      readonly otherwise: Expression;
      readonly type: ExpressionType;
    }
  | { readonly kind: 'coalesce'; readonly operands: readonly Expression[]; readonly type: ExpressionType }
  | { readonly kind: 'concat'; readonly left: Expression; readonly right: Expression; readonly type: 'text' }
  | {
      readonly kind: 'arithmetic';
      readonly operator: ArithmeticOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly type: ExpressionType;
    }
  | {
      readonly kind: 'call';
      readonly function: TextFunction;
      readonly arguments: readonly Expression[];
      readonly type: ExpressionType;
    }
  /** The keyed pseudonym of a text; masks only. */
  | { readonly kind: 'token'; readonly operand: Expression; readonly type: 'text' }
  | { readonly kind: 'cast'; readonly operand: Expression; readonly type: ExpressionType }
  | { readonly kind: 'principal'; readonly type: 'text' }
  | { readonly kind: 'is-member'; readonly group: string; readonly type: 'boolean' }
  | { readonly kind: 'attribute'; readonly name: string; readonly type: 'text[]' };
