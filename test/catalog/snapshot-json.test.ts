import { describe, expect, it } from 'vitest';
import { catalogFromJson, catalogToJson } from '../../src/catalog/snapshot-json.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { catalogOf, sampleCatalog, table } from '../policy/fixture.ts';

const overJson = (value: object): unknown => JSON.parse(JSON.stringify(value));

describe('a catalog as JSON', () => {
  it('comes back as it was', () => {
    const catalog = sampleCatalog();
    expect(catalogFromJson(overJson(catalogToJson(catalog)))).toEqual(catalog);
  });

  it('keeps triggers, cascades and quoted names', () => {
    const orders = table('shop."Odd.Schema"."T"', { id: 'bigint' }, 'TABLE', {
      triggers: ['audit'],
      cascades: [
        { constraint: 'fk', table: parseSecurableName('shop.public.lines'), actions: ['ON DELETE CASCADE'] },
      ],
    });
    const catalog = catalogOf({ shop: 'POSTGRES' }, [orders]);
    expect(catalogFromJson(overJson(catalogToJson(catalog))).tables.get(orders.name)).toEqual(orders);
  });

  it.each([
    ['nothing', null],
    ['another shape', { catalogs: {} }],
    ['a name that is not canonical', { ...catalogToJson(sampleCatalog()), schemas: ['Shop.Public'] }],
    ['a missing digest', { ...catalogToJson(sampleCatalog()), digest: undefined }],
  ])('refuses %s', (_what, value) => {
    expect(() => catalogFromJson(value)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});
