import { policyJsonSchema } from './json-schema.ts';

// The order of keys: the one in which the schema has them, so that it is written down once.

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly const?: unknown;
}

/** A place in a document whose map, if it is one, has keys in a known order. */
export class KeyOrder {
  readonly #nodes: readonly SchemaNode[];

  private constructor(nodes: readonly SchemaNode[]) {
    this.#nodes = nodes.flatMap((node) => [node, ...(node.anyOf ?? []), ...(node.oneOf ?? [])]);
  }

  /** Of a whole document of this kind; nothing is known of another. */
  static ofKind(kind: string | undefined): KeyOrder {
    const schema = policyJsonSchema() as SchemaNode;
    const branches = schema.oneOf ?? schema.anyOf ?? [];
    return new KeyOrder(branches.filter((branch) => branch.properties?.['kind']?.const === kind));
  }

  below(key: string): KeyOrder {
    return new KeyOrder(
      this.#nodes.flatMap(({ properties, additionalProperties: rest }) => {
        const own = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined;
        if (own !== undefined) return [own];
        return typeof rest === 'object' ? [rest] : [];
      }),
    );
  }

  get items(): KeyOrder {
    return new KeyOrder(this.#nodes.flatMap(({ items }) => (items === undefined ? [] : [items])));
  }

  /** Where the key belongs; keys that nobody knows go last, as they stood. */
  rank(key: string): number {
    for (const { properties } of this.#nodes) {
      const at = Object.keys(properties ?? {}).indexOf(key);
      if (at >= 0) return at;
    }
    return Number.MAX_SAFE_INTEGER;
  }
}
