import { createHmac } from 'node:crypto';
import { scratchTokenKey } from '../../../src/kernel/token-key.ts';

// token() once more, by Node's own HMAC, and the table that engines read the key from.

export const tokenOf = (text: string, hex: string = scratchTokenKey): string =>
  createHmac('sha256', Buffer.from(hex, 'hex')).update(text, 'utf8').digest('hex').slice(0, 32);

const block = (pad: string) => pad.repeat(64);

/** Of the open key, which is 32 zero bytes: its padded blocks are the pads. */
export const tokenKeyTable = {
  duckdb: `create schema memory.writ; create table memory.writ.token_key as
    select from_hex('${block('36')}') as inner_block, from_hex('${block('5c')}') as outer_block`,
  postgres: `create schema if not exists writ;
    create table if not exists writ.token_key as
      select decode('${block('36')}', 'hex') as inner_block, decode('${block('5c')}', 'hex') as outer_block`,
};
