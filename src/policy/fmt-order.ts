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
  readonly #keys: readonly string[];

  private constructor(nodes: readonly SchemaNode[]) {
    this.#nodes = nodes.flatMap((node) => [node, ...(node.anyOf ?? []), ...(node.oneOf ?? [])]);
    this.#keys = mergedKeys(this.#nodes);
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
    const at = this.#keys.indexOf(key);
    return at >= 0 ? at : Number.MAX_SAFE_INTEGER;
  }
}

/** The keys of all forms of a map: each form's are in its own order. */
function mergedKeys(forms: readonly SchemaNode[]): readonly string[] {
  const keys: string[] = [];
  for (const { properties = {} } of forms) {
    let before = -1;
    for (const key of Object.keys(properties)) {
      if (!keys.includes(key)) keys.splice(before + 1, 0, key);
      before = keys.indexOf(key);
    }
  }
  return keys;
}
