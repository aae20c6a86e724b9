import type { Brand } from './brand.ts';
import { WritError } from './errors.ts';

/** The name of a user (`ana@acme.test`), a service principal (`etl`) or a group (`analysts`), as policy files say it. */
export type PrincipalName = Brand<string, 'PrincipalName'>;
export type GroupName = Brand<string, 'GroupName'>;

export type PrincipalKind = 'user' | 'service_principal';

/** Every user and service principal. */
export const allUsers = 'all users' as GroupName;

/** The local operator: whoever owns the instance's home folder. Holds every administrative right and no data. */
export const operatorName = 'operator' as PrincipalName;

/** @throws invalid_name when empty, over 254 bytes, or with control characters. */
export function parsePrincipalName(text: string): PrincipalName {
  const name = text.trim().normalize('NFC');
  const usable = name !== '' && Buffer.byteLength(name) <= 254 && !/[\u0000-\u001f\u007f]/.test(name);
  if (!usable)
    throw new WritError('invalid_name', { message: `invalid principal name ${JSON.stringify(text)}` });
  return (name.includes('@') ? name.toLowerCase() : name) as PrincipalName;
}

export function parseGroupName(text: string): GroupName {
  return parsePrincipalName(text) as string as GroupName;
}

export function principalKind(name: PrincipalName): PrincipalKind {
  return name.includes('@') ? 'user' : 'service_principal';
}
