import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** Paths of a certificate and its key. */
export interface Certificate {
  certFile: string;
  keyFile: string;
}

/** A certificate authority in a folder, and what it signs. Needs `openssl`. */
export class TestAuthority {
  readonly #dir: string;
  readonly #own: Certificate;

  constructor(dir: string, name: string) {
    this.#dir = dir;
    this.#own = this.#make(name, []);
  }

  get caFile(): string {
    return this.#own.certFile;
  }

  /** `addresses`: IP addresses that a server with it answers at; none for a client. */
  sign(name: string, addresses: readonly string[] = []): Certificate {
    const { certFile, keyFile } = this.#own;
    const names = addresses.map((address) => `IP:${address}`).join(',');
    return this.#make(name, [
      ...['-CA', certFile, '-CAkey', keyFile],
      ...(names === '' ? [] : ['-addext', `subjectAltName=${names}`]),
      ...['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
    ]);
  }

  #make(name: string, more: readonly string[]): Certificate {
    const certFile = path.join(this.#dir, `${name}.crt`);
    const keyFile = path.join(this.#dir, `${name}.key`);
    const files = ['-keyout', keyFile, '-out', certFile];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`, ...files, ...more],
      { stdio: 'pipe' },
    );
    return { certFile, keyFile };
  }
}

/** Whether certificates can be made here. Says so when not. */
export const hasOpenssl = ((): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    console.warn('tests with TLS are skipped: no openssl here (Debian package openssl)');
    return false;
  }
})();
