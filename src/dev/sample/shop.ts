import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { z } from 'zod';
import { WritError } from '../../kernel/errors.ts';
import { identifier, literal, type Sql, sql, trustedSql } from '../../kernel/sql.ts';
import { connected, execute } from '../application-client.ts';
import { writePrivate } from '../home.ts';

// The database `shop`, made under another name and renamed when whole: one that is named `shop` is complete.

export const shopDatabase = 'shop';
const draftDatabase = 'shop_in_the_making';

export const shopRoles = ['shop_app', 'shop_backup', 'shop_report', 'shop_loader'] as const;
export type ShopRole = (typeof shopRoles)[number];

const passwordsSchema = z.record(z.enum(shopRoles), z.string().min(1));
type Passwords = z.infer<typeof passwordsSchema>;

/**
 * Makes the sample database and the unmanaged roles where they are missing.
 * @param adminUrl a superuser on the cluster, any database
 * @param passwordFile where the roles' passwords are kept (JSON, mode 0600)
 * @returns for each unmanaged role its URL on the database
 */
export async function createSampleShop(
  adminUrl: string,
  passwordFile: string,
): Promise<Record<ShopRole, string>> {
  const known = existsSync(passwordFile);
  const passwords = known ? readPasswords(passwordFile) : newPasswords();
  if (!known) writePrivate(passwordFile, `${JSON.stringify(passwords, undefined, 2)}\n`);
  const complete = await connected(adminUrl, 'writ dev', async (admin) => {
    const exists = await admin.query('select 1 from pg_database where datname = $1', [shopDatabase]);
    const whole = exists.rowCount === 1;
    if (!whole || !known) await makeRoles(admin, passwords);
    if (!whole) await makeEmptyDatabase(admin);
    return whole;
  });
  const urls = roleUrls(adminUrl, passwords);
  if (!complete) {
    await fill(urlOf(adminUrl, draftDatabase, 'shop_app', passwords.shop_app));
    await connected(adminUrl, 'writ dev', (admin) =>
      execute(admin, sql`alter database ${identifier(draftDatabase)} rename to ${identifier(shopDatabase)}`),
    );
  }
  return urls;
}

async function makeRoles(admin: Client, passwords: Passwords): Promise<void> {
  await execute(admin, fileSql('./shop-roles.sql'));
  for (const role of shopRoles) {
    await execute(admin, sql`alter role ${identifier(role)} password ${literal(passwords[role])}`);
  }
}

async function makeEmptyDatabase(admin: Client): Promise<void> {
  await execute(admin, sql`drop database if exists ${identifier(draftDatabase)} with (force)`);
  await execute(
    admin,
    sql`create database ${identifier(draftDatabase)} owner ${identifier('shop_app')} template template0`,
  );
}

async function fill(url: string): Promise<void> {
  await connected(url, 'writ dev', async (application) => {
    await execute(application, sql`set synchronous_commit = off`);
    await execute(application, sql`begin`);
    await execute(application, fileSql('./shop.sql'));
    await execute(application, sql`commit`);
    // Statistics on purpose and at once: plans and pg_stats are then the same on every start.
    await execute(application, sql`analyze`);
  });
}

function fileSql(path: string): Sql {
  return trustedSql(readFileSync(new URL(path, import.meta.url), 'utf8'), 'file');
}

function newPasswords(): Passwords {
  const password = (): string => randomBytes(18).toString('base64url');
  return { shop_app: password(), shop_backup: password(), shop_report: password(), shop_loader: password() };
}

function readPasswords(path: string): Passwords {
  const parsed = passwordsSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new WritError('invalid_config', {
    message: `${path} is not as Writ wrote it`,
    hint: 'delete it: the next start sets new passwords',
  });
}

function roleUrls(adminUrl: string, passwords: Passwords): Record<ShopRole, string> {
  const url = (role: ShopRole): string => urlOf(adminUrl, shopDatabase, role, passwords[role]);
  return {
    shop_app: url('shop_app'),
    shop_backup: url('shop_backup'),
    shop_report: url('shop_report'),
    shop_loader: url('shop_loader'),
  };
}

function urlOf(adminUrl: string, database: string, user: string, password: string): string {
  const url = new URL(adminUrl);
  url.username = user;
  url.password = password;
  url.pathname = `/${database}`;
  return url.href;
}
