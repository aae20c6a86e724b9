// The rows that random policies are tried on, and the relations that show them.

export type Row = Readonly<Record<string, string>>;

export const customers: readonly Row[] = [
  { id: '1', email: 'ann@x.io', phone: '+11', region: 'EMEA' },
  { id: '2', email: 'bob@y.io', phone: '+22', region: 'APAC' },
  { id: '3', email: 'cy@z.io', phone: '+33', region: "O'N" },
];
export const orders: readonly Row[] = [
  { id: '1', region: 'EMEA', note: 'first' },
  { id: '2', region: 'EMEA', note: 'second' },
  { id: '3', region: 'APAC', note: 'third' },
];

export function rowsOf(table: string): readonly Row[] {
  return table === 'shop.public.customers' ? customers : orders;
}

export interface Relation {
  readonly name: string;
  readonly columns: readonly string[];
}

export const relations: readonly Relation[] = [
  { name: 'shop.public.customers', columns: ['id', 'email', 'phone', 'region'] },
  { name: 'shop.public.orders', columns: ['id', 'region', 'note'] },
  { name: 'shop.public.contacts', columns: ['id', 'email', 'region'] },
  { name: 'shop.public.both', columns: ['id', 'phone', 'note'] },
];
