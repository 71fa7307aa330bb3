import { execFile, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerIdentity } from './listen.ts';
import { tempDir } from './temp-dir.ts';

const run = promisify(execFile);

/** For tests that make certificates: skipped on a machine without the program that does. */
export const needsOpenssl = {
  skip:
    spawnSync('openssl', ['version']).status === 0 ? false : 'no openssl on PATH: apt-get install openssl',
};

/** A certificate authority nobody trusts, and a server it vouches for, as PEM texts and as files. */
export interface Authority {
  ca: string;
  /** For NODE_EXTRA_CA_CERTS and SSL_CERT_FILE. */
  caFile: string;
  /** For localhost and 127.0.0.1. */
  server: ServerIdentity;
  keyFile: string;
  certFile: string;
}

let authority: Promise<Authority> | undefined;

/** Made once a process with `openssl`; its files go with the process. */
export function temporaryAuthority(): Promise<Authority> {
  authority ??= makeAuthority();
  return authority;
}

async function makeAuthority(): Promise<Authority> {
  const folder = tempDir();
  const [caKey, caFile, keyFile, certFile] = ['ca.key', 'ca.pem', 'server.key', 'server.pem'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  const request = ['req', '-x509', ...newKey, '-days', '2', '-sha256'];
  await run('openssl', [...request, '-subj', '/CN=boxcar test authority', '-keyout', caKey, '-out', caFile]);
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1';
  const extensions = ['-addext', names, '-addext', 'basicConstraints=critical,CA:FALSE'];
  const issuer = ['-CA', caFile, '-CAkey', caKey];
  await run('openssl', [
    ...request,
    ...issuer,
    ...extensions,
    '-subj',
    '/CN=localhost',
    '-keyout',
    keyFile,
    '-out',
    certFile,
  ]);
  const read = (file: string): Promise<string> => readFile(file, 'utf8');
  const [ca, key, cert] = (await Promise.all([caFile, keyFile, certFile].map(read))) as [
    string,
    string,
    string,
  ];
  return { ca, caFile, server: { key, cert }, keyFile, certFile };
}

export interface SelfSigned {
  key: string;
  cert: string;
  certFile: string;
}

/** A key with a certificate it signed itself: what a registry is told to trust a token server by. */
export async function selfSigned(commonName: string): Promise<SelfSigned> {
  const folder = tempDir();
  const keyFile = join(folder, `${commonName}.key`);
  const certFile = join(folder, `${commonName}.pem`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  const files = ['-keyout', keyFile, '-out', certFile];
  await run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-sha256',
    '-subj',
    `/CN=${commonName}`,
    ...files,
  ]);
  return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8'), certFile };
}
