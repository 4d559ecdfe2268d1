import { readFileSync, statSync } from 'node:fs';
import type { ParsedKey } from 'ssh2';
import { DynamoError, systemCode } from '../../base/errors.ts';
import type { SshHop } from './ssh-target.ts';

/** Reads a private key file as OpenSSH would: readable, nobody else's business, without a passphrase. Throws `HOST_UNREACHABLE` with the fix. */
export async function readKey(file: string, hop: SshHop): Promise<ParsedKey> {
  const refuse = (what: string, hint: string, cause?: unknown) =>
    new DynamoError('HOST_UNREACHABLE', `${hop.name}: ${what}`, { hint, cause });
  let text: Buffer;
  try {
    const { mode, uid } = statSync(file);
    if ((mode & 0o077) !== 0 && uid === process.getuid?.()) {
      const octal = (mode & 0o777).toString(8).padStart(4, '0');
      throw refuse(
        `the key file ${file} can be read by others (mode ${octal})`,
        `A private key must be yours alone: \`chmod 600 ${file}\``,
      );
    }
    text = readFileSync(file);
  } catch (error) {
    if (error instanceof DynamoError) throw error;
    const code = systemCode(error);
    if (code === 'ENOENT')
      throw refuse(`there is no key file ${file}`, 'Give the path of a private key with `identityFile`.', error);
    throw refuse(`cannot read the key file ${file} (${code})`, `Whose is it? \`ls -l ${file}\``, error);
  }
  const { utils } = (await import('ssh2')).default;
  const key = utils.parseKey(text);
  if (key instanceof Error) {
    if (/passphrase|encrypted/i.test(key.message)) {
      throw refuse(
        `the key file ${file} has a passphrase`,
        `Load it into an agent, \`ssh-add ${file}\`, and run dynamo where SSH_AUTH_SOCK is set.`,
        key,
      );
    }
    throw refuse(
      `${file} is not a private key that dynamo understands`,
      `Look at it with \`ssh-keygen -y -f ${file}\`.`,
      key,
    );
  }
  const first = (Array.isArray(key) ? key[0] : key) as ParsedKey;
  if (!first.isPrivateKey()) {
    throw refuse(`${file} is a public key`, 'Give the private one, normally the same name without `.pub`.');
  }
  return first;
}
