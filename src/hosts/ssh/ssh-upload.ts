import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Client, SFTPWrapper } from 'ssh2';
import { DynamoError, messageOf } from '../../base/errors.ts';
import type { ExecOptions, ExecResult, UploadFile } from '../host-transport.ts';
import type { SshChannels } from './ssh-channels.ts';

/** Files on their way at once: a small one takes several round trips, which a far host would add up. */
const AT_ONCE = 6;

type Exec = (argv: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

/**
 * Copies files by SFTP, each beside its place, compared by SHA-256 and renamed; where the server has no SFTP, or it fails without
 * saying why (a full disk is "Failure" to it), through a command that does say.
 */
export async function uploadFiles(
  host: string,
  channels: SshChannels,
  exec: Exec,
  files: readonly UploadFile[],
  onProgress: (doneBytes: number, totalBytes: number) => void = () => {},
): Promise<void> {
  const total = files.reduce((sum, file) => sum + statSync(file.from).size, 0);
  const folders = [...new Set(files.map((file) => path.posix.dirname(file.to)))];
  const made = await exec(['mkdir', '-p', '--', ...folders]);
  if (made.code !== 0) throw explainWrite(host, folders[0]!, made.stderr);
  const temporary = new Map(files.map((file) => [file, `${file.to}.tmp-${randomBytes(4).toString('hex')}`]));
  const sums = new Map<string, string>();
  const sent = new Map<UploadFile, number>();
  const onSent = (file: UploadFile, bytes: number) => {
    sent.set(file, bytes);
    const done = [...sent.values()].reduce((sum, each) => sum + each, 0);
    onProgress(Math.min(done, total), total);
  };
  try {
    const sftp = await channels.open('short', openSftp).catch(() => undefined);
    try {
      await forEachOf(files, async (file) => {
        const to = temporary.get(file)!;
        const put = sftp && putBySftp(sftp, file, to, (bytes) => onSent(file, bytes)).catch(() => false);
        if (!(await put)) {
          await putByCommand(host, exec, file, to);
          onSent(file, statSync(file.from).size);
        }
        sums.set(to, await sha256(file.from));
      });
    } finally {
      sftp?.end();
    }
    await compareSums(host, exec, sums);
    const moves = files.flatMap((file) => [temporary.get(file)!, file.to, file.mode.toString(8)]);
    const moved = await exec(['/bin/sh', '-c', MOVE, 'move', ...moves]);
    if (moved.code !== 0) throw explainWrite(host, folders[0]!, moved.stderr);
  } catch (error) {
    await exec(['rm', '-f', '--', ...temporary.values()]).catch(() => {});
    throw error;
  }
}

/** Some at once. The first failure is thrown when nothing is under way any more; nothing new is begun after it. */
async function forEachOf<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined && failures.length === 0; item = left.shift())
      await action(item).catch((error: unknown) => failures.push(error));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failures.length > 0) throw failures[0];
}

const MOVE = 'while [ $# -gt 0 ]; do chmod "$3" "$1" && mv -f "$1" "$2" || exit 1; shift 3; done';

function openSftp(client: Client): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp)));
  });
}

function putBySftp(sftp: SFTPWrapper, file: UploadFile, to: string, onSent: (bytes: number) => void): Promise<true> {
  return new Promise((resolve, reject) => {
    const lost = () => reject(new Error('the link was lost'));
    sftp.once('close', lost);
    sftp.fastPut(
      file.from,
      to,
      { concurrency: 32, chunkSize: 32_768, mode: 0o600, step: (bytes) => onSent(bytes) },
      (error) => {
        sftp.removeListener('close', lost);
        if (error) reject(error);
        else resolve(true);
      },
    );
  });
}

async function putByCommand(host: string, exec: Exec, file: UploadFile, to: string): Promise<void> {
  const chunks: Buffer[] = [];
  await pipeline(createReadStream(file.from), async (source) => {
    for await (const chunk of source) chunks.push(chunk as Buffer);
  });
  const answer = await exec(['/bin/sh', '-c', 'umask 077; cat > "$1"', 'put', to], { stdin: Buffer.concat(chunks) });
  if (answer.code !== 0) throw explainWrite(host, path.posix.dirname(to), answer.stderr);
}

/** Where the host has no `sha256sum`, sizes must do. */
async function compareSums(host: string, exec: Exec, sums: ReadonlyMap<string, string>): Promise<void> {
  const answer = await exec(['sha256sum', '--', ...sums.keys()]);
  if (answer.code === 127) return;
  const found = new Map(
    answer.stdout
      .toString()
      .split('\n')
      .map((line) => [line.slice(66), line.slice(0, 64)]),
  );
  const wrong = [...sums].filter(([file, sum]) => found.get(file) !== sum).map(([file]) => file);
  if (wrong.length === 0) return;
  throw new DynamoError('HOST_UNREACHABLE', `${host}: what arrived is not what was sent: ${wrong.join(', ')}`, {
    hint: 'The disk there may be full or failing; try again.',
    details: answer.stderr.split('\n').filter(Boolean).slice(0, 3),
  });
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** What a command on a host said when it could not write. */
export function explainWrite(host: string, where: string, stderr: string): DynamoError {
  const details = stderr.split('\n').filter(Boolean).slice(-3);
  if (/no space left|quota exceeded/i.test(stderr)) {
    return new DynamoError('DISK_FULL', `${host}: no space left to write to ${where}`, {
      hint: `Free some space on ${host}, or set another folder for it in the hosts file (stateDir, kitDir).`,
      details,
    });
  }
  return new DynamoError(
    'STATE_UNREADABLE',
    `${host}: cannot write to ${where}: ${messageOf(details.at(-1) ?? 'no reason given')}`,
    {
      hint: `Check the permissions there, or set another folder for ${host} in the hosts file (stateDir, kitDir).`,
      details,
    },
  );
}
