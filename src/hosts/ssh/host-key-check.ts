import { readFileSync } from 'node:fs';
import { DynamoError, systemCode } from '../../base/errors.ts';
import {
  fingerprint,
  hostWithPort,
  judgeHostKey,
  type KeyVerdict,
  type KnownKey,
  keyType,
  knownTypes,
  parseKnownHosts,
} from './known-hosts.ts';
import type { SshHop } from './ssh-target.ts';

/** Checks the key that a host shows against the known-hosts files of its hop. Strict: what is not known is refused. */
export class HostKeyCheck {
  readonly #hop: SshHop;
  readonly #known: KnownKey[];
  /** The error of a key that was refused. */
  refusal: DynamoError | undefined;

  constructor(hop: SshHop) {
    this.#hop = hop;
    this.#known = hop.knownHostsFiles.flatMap((file) => parseKnownHosts(readText(file, hop), file));
  }

  /** Key types to ask for, those that are known first. */
  orderTypes(supported: readonly string[]): string[] {
    const known = knownTypes(this.#known, this.#hop.keyName, this.#hop.port).flatMap((type) =>
      type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type],
    );
    const first = known.filter((type) => supported.includes(type));
    return [...first, ...supported.filter((type) => !first.includes(type))];
  }

  accept(key: Buffer): boolean {
    const verdict = judgeHostKey(this.#known, this.#hop.keyName, this.#hop.port, key);
    if (verdict.kind === 'known') return true;
    this.refusal = explain(verdict, this.#hop, key);
    return false;
  }
}

function explain(verdict: Exclude<KeyVerdict, { kind: 'known' }>, hop: SshHop, key: Buffer): DynamoError {
  const shown = `${keyType(key)} ${fingerprint(key)}`;
  const file = hop.knownHostsFiles[0] ?? '~/.ssh/known_hosts';
  const where = hostWithPort(hop.keyName, hop.port);
  const scan = `ssh-keyscan${hop.port === 22 ? '' : ` -p ${hop.port}`} ${hop.address} >> ${file}`;
  const compare = 'after comparing that fingerprint with the host, by its console or its owner';
  switch (verdict.kind) {
    case 'unknown':
      return new DynamoError('HOST_UNREACHABLE', `${hop.name}: the host key of ${where} is not known: ${shown}`, {
        hint: `Log in once with \`ssh${hop.port === 22 ? '' : ` -p ${hop.port}`} ${hop.user}@${hop.address}\` and confirm the key, or, ${compare}: \`${scan}\``,
        details: [`looked for ${where} in ${hop.knownHostsFiles.join(', ')}`],
      });
    case 'changed':
      return new DynamoError(
        'HOST_UNREACHABLE',
        `${hop.name}: the host key of ${where} has changed: it shows ${shown}, which is not the key in ${verdict.at.file}:${verdict.at.line}`,
        {
          hint: `Somebody may be in between. If the host was installed anew, then, ${compare}: \`ssh-keygen -R '${where}' -f ${verdict.at.file} && ${scan}\``,
          details: [
            `known: ${verdict.at.type} ${fingerprint(Buffer.from(verdict.at.key, 'base64'))}`,
            `shown: ${shown}`,
          ],
        },
      );
    case 'revoked':
      return new DynamoError(
        'HOST_UNREACHABLE',
        `${hop.name}: the host key of ${where} is revoked in ${verdict.at.file}:${verdict.at.line}: ${shown}`,
        { hint: 'Whoever has this key may not be the host. Give the host a new key; do not remove that line.' },
      );
  }
}

function readText(file: string, hop: SshHop): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw new DynamoError('HOST_UNREACHABLE', `${hop.name}: cannot read ${file} (${systemCode(error)})`, {
      hint: 'It says which keys hosts have; make it readable for yourself.',
      cause: error,
    });
  }
}
