import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { DynamoError, systemCode } from '../base/errors.ts';

/** How to reach an etcd. Secrets are named, never contained. */
export interface EtcdSpec {
  backend: 'etcd';
  /** `http://10.0.0.1:2379`, or all of them `https://`. The port defaults to 2379. */
  endpoints: readonly string[];
  /** Everything lies under `PREFIX/DEPLOYMENT/`; `/dynamo` by default. */
  prefix?: string | undefined;
  /** PEM files. Without `caFile` the certificate authorities that Node knows are trusted. */
  tls?:
    | {
        caFile?: string | undefined;
        certFile?: string | undefined;
        keyFile?: string | undefined;
        /** Content of a file that is not on this machine; undefined: look here. */
        sent?: (file: string) => string | undefined;
      }
    | undefined;
  user?: string | undefined;
  /** The variable or the file (a final line feed is dropped) that holds the user's password, or who knows it. */
  password?: { env: string } | { file: string } | { ask: () => string } | undefined;
  /** Seconds after which etcd deletes a record that nobody refreshes; a week by default. Not what decides about a lapse. */
  leaseTtlSeconds?: number | undefined;
}

/** An `EtcdSpec` with defaults filled in and files read. */
export interface EtcdSettings {
  endpoints: string[];
  prefix: string;
  credentials: { rootCertificate: Buffer; privateKey?: Buffer; certChain?: Buffer } | undefined;
  auth: { username: string; password: string } | undefined;
  leaseTtlSeconds: number;
}

const DEFAULT_PREFIX = '/dynamo';
const DEFAULT_LEASE_TTL_SECONDS = 7 * 24 * 3600;

/** Reads the files and variables a spec names. Throws `DISCOVERY_UNREACHABLE` or `SECRET_MISSING` with what is wrong. */
export async function readEtcdSettings(spec: EtcdSpec, env: NodeJS.ProcessEnv = process.env): Promise<EtcdSettings> {
  const endpoints = [...new Set(spec.endpoints.map(normalEndpoint))];
  if (endpoints.length === 0) throw unusable('etcd needs at least one endpoint', 'Name one: http://10.0.0.1:2379');
  const secure = endpoints.filter((endpoint) => endpoint.startsWith('https:')).length;
  if (secure > 0 && secure < endpoints.length) {
    throw unusable('etcd endpoints mix http and https', 'Write all of them with https, or none.');
  }
  if (spec.tls && secure === 0) {
    throw unusable(
      'etcd has TLS files, but http endpoints',
      'Write the endpoints with https, or leave out the TLS files.',
    );
  }
  return {
    endpoints,
    prefix: (spec.prefix ?? DEFAULT_PREFIX).replace(/\/+$/, ''),
    credentials: spec.tls && (await readCredentials(spec.tls)),
    auth: await readAuth(spec, env),
    leaseTtlSeconds: spec.leaseTtlSeconds ?? DEFAULT_LEASE_TTL_SECONDS,
  };
}

function normalEndpoint(text: string): string {
  const url = URL.parse(text);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '' && url.pathname === '/';
  if (!isPlain || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw unusable(
      `etcd endpoint ${JSON.stringify(text)} is no address`,
      'Write http://HOST:PORT or https://HOST:PORT.',
    );
  }
  // `url.port` is empty for the protocol's own port, even when it was written out.
  const port = url.port || (/:(80|443)\/?$/.exec(text)?.[1] ?? '2379');
  return `${url.protocol}//${url.hostname}:${port}`;
}

async function readCredentials(tls: NonNullable<EtcdSpec['tls']>): Promise<EtcdSettings['credentials']> {
  const { caFile, certFile, keyFile, sent } = tls;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw unusable('etcd has one of certFile and keyFile', 'A client certificate needs both.');
  }
  return {
    rootCertificate: caFile === undefined ? Buffer.from(rootCertificates.join('\n')) : await readPem(caFile, sent),
    ...(keyFile === undefined ? {} : { privateKey: await readPem(keyFile, sent) }),
    ...(certFile === undefined ? {} : { certChain: await readPem(certFile, sent) }),
  };
}

async function readPem(file: string, sent: (file: string) => string | undefined = () => undefined): Promise<Buffer> {
  const content = sent(file);
  const bytes =
    content !== undefined
      ? Buffer.from(content)
      : await readFile(file).catch((error: unknown) => {
          throw unusable(
            `cannot read the TLS file ${file}: ${systemCode(error)}`,
            'Check the path and its permissions.',
            error,
          );
        });
  if (bytes.includes('-----BEGIN ')) return bytes;
  throw unusable(`the TLS file ${file} is not in PEM format`, 'It has to begin with -----BEGIN.');
}

async function readAuth(spec: EtcdSpec, env: NodeJS.ProcessEnv): Promise<EtcdSettings['auth']> {
  const { user, password } = spec;
  if (user === undefined && password === undefined) return undefined;
  if (user === undefined || password === undefined) {
    throw unusable('etcd has one of user and password', 'Name the user, and the variable or file with the password.');
  }
  return { username: user, password: await readPassword(password, env) };
}

async function readPassword(password: NonNullable<EtcdSpec['password']>, env: NodeJS.ProcessEnv): Promise<string> {
  if ('ask' in password) return password.ask();
  if ('env' in password) {
    const value = env[password.env];
    if (value) return value;
    throw new DynamoError('SECRET_MISSING', `the variable ${password.env} with the etcd password is not set`, {
      hint: `Set ${password.env}.`,
    });
  }
  try {
    return (await readFile(password.file, 'utf8')).replace(/\r?\n$/, '');
  } catch (cause) {
    throw new DynamoError(
      'SECRET_MISSING',
      `cannot read the etcd password from ${password.file}: ${systemCode(cause)}`,
      {
        hint: 'Check the path and its permissions.',
        cause,
      },
    );
  }
}

function unusable(message: string, hint: string, cause?: unknown): DynamoError {
  return new DynamoError('DISCOVERY_UNREACHABLE', message, { hint, cause });
}
