import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octets,
  sequence,
  setOf,
  time,
  utf8,
} from './der.ts';
import { writePrivate } from './home.ts';

// The certificate of the development gateway (RFC 5280): an authority made for this home alone, whose key is forgotten
// as soon as the one server certificate is signed, so that trusting the authority's file trusts this gateway only.

export interface DevCertificate {
  /** PEM file to give to clients: sslrootcert. */
  readonly caFile: string;
  readonly certificateFile: string;
  /** Mode 0600. */
  readonly keyFile: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

const day = 86_400_000;
const lifetime = 365 * day;
const renewBefore = 30 * day;

/** The certificate under `folder`, made on the first call and again in the last 30 days of its year. `now` in ms. */
export function devCertificate(folder: string, now: number): DevCertificate {
  const files = {
    caFile: join(folder, 'ca.pem'),
    certificateFile: join(folder, 'server.pem'),
    keyFile: join(folder, 'server.key'),
  };
  if (!usable(files, now)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const made = makeCertificate(now);
    writePrivate(files.keyFile, made.key);
    writePrivate(files.caFile, made.ca);
    writePrivate(files.certificateFile, made.certificate);
  }
  return {
    ...files,
    ca: readFileSync(files.caFile, 'utf8'),
    certificate: readFileSync(files.certificateFile, 'utf8'),
    key: readFileSync(files.keyFile, 'utf8'),
  };
}

type Pems = Pick<DevCertificate, 'ca' | 'certificate' | 'key'>;

// Three files are never of two makes: a start that was interrupted between them makes them anew.
function usable(files: Pick<DevCertificate, 'caFile' | 'certificateFile' | 'keyFile'>, now: number): boolean {
  if (![files.caFile, files.certificateFile, files.keyFile].every((path) => existsSync(path))) return false;
  try {
    const authority = new X509Certificate(readFileSync(files.caFile));
    const server = new X509Certificate(readFileSync(files.certificateFile));
    const key = server.publicKey.export({ type: 'spki', format: 'pem' });
    const fresh = Date.parse(server.validTo) - renewBefore > now;
    return (
      fresh && server.verify(authority.publicKey) && publicPem(readFileSync(files.keyFile, 'utf8')) === key
    );
  } catch {
    return false;
  }
}

function publicPem(privatePem: string): string | Buffer {
  return createPublicKey(privatePem).export({ type: 'spki', format: 'pem' });
}

const oid = {
  commonName: objectIdentifier('2.5.4.3'),
  ecdsaWithSha256: objectIdentifier('1.2.840.10045.4.3.2'),
  basicConstraints: objectIdentifier('2.5.29.19'),
  keyUsage: objectIdentifier('2.5.29.15'),
  extendedKeyUsage: objectIdentifier('2.5.29.37'),
  serverAuthentication: objectIdentifier('1.3.6.1.5.5.7.3.1'),
  subjectAlternativeName: objectIdentifier('2.5.29.17'),
} as const;

function makeCertificate(now: number): Pems {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const common = { issuer: 'Writ development authority', issuerKey: authority.privateKey, now };
  const ca = certificate({
    ...common,
    subject: common.issuer,
    publicKey: authority.publicKey,
    extensions: [
      extension(oid.basicConstraints, true, sequence(boolean(true), integer(Buffer.from([0])))),
      // keyCertSign, cRLSign
      extension(oid.keyUsage, true, bitString(Buffer.from([0b0000_0110]), 1)),
    ],
  });
  const names = [implicit(2, Buffer.from('localhost')), implicit(7, Buffer.from([127, 0, 0, 1]))];
  const leaf = certificate({
    ...common,
    subject: 'localhost',
    publicKey: server.publicKey,
    extensions: [
      extension(oid.basicConstraints, true, sequence()),
      // digitalSignature
      extension(oid.keyUsage, true, bitString(Buffer.from([0b1000_0000]), 7)),
      extension(oid.extendedKeyUsage, false, sequence(oid.serverAuthentication)),
      extension(oid.subjectAlternativeName, false, sequence(...names)),
    ],
  });
  const key = server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { ca: pem(ca), certificate: pem(leaf), key };
}

interface CertificateParts {
  readonly issuer: string;
  readonly subject: string;
  readonly issuerKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly now: number;
  readonly extensions: readonly Buffer[];
}

function certificate(parts: CertificateParts): Buffer {
  const algorithm = sequence(oid.ecdsaWithSha256);
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm,
    name(parts.issuer),
    sequence(time(new Date(parts.now - day)), time(new Date(parts.now + lifetime))),
    name(parts.subject),
    parts.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...parts.extensions)),
  );
  return sequence(toBeSigned, algorithm, bitString(sign('sha256', toBeSigned, parts.issuerKey)));
}

function name(commonName: string): Buffer {
  return sequence(setOf(sequence(oid.commonName, utf8(commonName))));
}

function extension(id: Buffer, critical: boolean, value: Buffer): Buffer {
  return sequence(id, ...(critical ? [boolean(true)] : []), octets(value));
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
