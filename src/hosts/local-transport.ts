import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { anySignal } from '../base/abort.ts';
import { explainWriteError } from '../base/atomic-file.ts';
import { DynamoError, messageOf } from '../base/errors.ts';
import { connectSocket } from '../base/unix-socket.ts';
import type { ExecOptions, ExecResult, HostTransport, UploadFile } from './host-transport.ts';

/** This machine, without SSH. */
export class LocalTransport implements HostTransport {
  readonly host: string;
  readonly local = true;
  readonly lost: AbortSignal = new AbortController().signal;

  constructor(host = 'local') {
    this.host = host;
  }

  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    options.signal?.throwIfAborted();
    const [command = '', ...args] = argv;
    const child = spawn(command, args, { stdio: 'pipe', env: { ...process.env, ...options.env } });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {}); // it ended without reading
    child.stdin.end(options.stdin ?? '');
    const late = options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs);
    const cut = anySignal(options.signal, late);
    const kill = () => child.kill('SIGKILL');
    cut.addEventListener('abort', kill, { once: true });
    try {
      // `close`, not `exit`: all it printed has been read. One that is cut short may leave others holding its output.
      const [code, signal] = (await once(child, 'close', { signal: cut })) as [number | null, string | null];
      return { code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
    } catch (error) {
      options.signal?.throwIfAborted();
      if (late?.aborted) throw notInTime(this.host, argv, options.timeoutMs!);
      return { code: 127, signal: null, stdout: Buffer.alloc(0), stderr: messageOf(error) };
    } finally {
      cut.removeEventListener('abort', kill);
      child.stdout.destroy();
      child.stderr.destroy();
    }
  }

  connectSocket(file: string): Promise<Duplex> {
    return connectSocket(file);
  }

  async upload(
    files: readonly UploadFile[],
    onProgress: (doneBytes: number, totalBytes: number) => void = () => {},
  ): Promise<void> {
    const total = files.reduce((sum, file) => sum + statSync(file.from).size, 0);
    let done = 0;
    for (const { from, to, mode } of files) {
      const temporary = `${to}.tmp-${randomBytes(4).toString('hex')}`;
      try {
        mkdirSync(path.dirname(to), { recursive: true });
        copyFileSync(from, temporary);
        chmodSync(temporary, mode);
        renameSync(temporary, to);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw explainWriteError(error, to);
      }
      done += statSync(from).size;
      onProgress(done, total);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** What `exec` throws when its time is over. */
export function notInTime(host: string, argv: readonly string[], timeoutMs: number): DynamoError {
  return new DynamoError('HOST_UNREACHABLE', `${host}: \`${argv[0]}\` did not end within ${timeoutMs / 1000} s`, {
    hint: 'Is the host overloaded, or a file system of it away? Log in and run it by hand.',
  });
}
