import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { anySignal, raceAbort } from '../../base/abort.ts';
import { DynamoError, messageOf } from '../../base/errors.ts';
import type { ExecOptions, ExecResult, HostTransport, UploadFile } from '../host-transport.ts';
import { notInTime } from '../local-transport.ts';
import { FrameReader, frameCommand } from './framed-command.ts';
import { FramedStream } from './framed-stream.ts';
import { resolveTarget, type SshUser } from './resolve-target.ts';
import { type ChannelUse, isRefusal, openExec, SshChannels } from './ssh-channels.ts';
import { connectSsh, type SshConnection, type SshTimes } from './ssh-connect.ts';
import { describeHop } from './ssh-errors.ts';
import type { SshTarget } from './ssh-target.ts';
import { uploadFiles } from './ssh-upload.ts';

export interface SshTransportOptions {
  times?: SshTimes;
  signal?: AbortSignal | undefined;
  /** Whose settings apply; this user's. */
  user?: SshUser;
}

/** Until the first byte of an answer; login shells on slow file systems take their time. */
const BEGIN_MS = 30_000;
const CONNECT_SOCKET_MS = 10_000;

/** A host over SSH: one connection, as many channels as its server lets us have. */
export class SshTransport implements HostTransport {
  readonly host: string;
  readonly local = false;
  readonly lost: AbortSignal;
  readonly #where: string;
  readonly #connection: SshConnection;
  readonly #channels: SshChannels;
  readonly #lost = new AbortController();
  #bridge: readonly string[] | undefined;
  /** Undefined until it was seen to work or not. */
  #forwards: boolean | undefined;

  /** Logs in. Throws `HOST_UNREACHABLE` with what to do about it. */
  static async connect(target: SshTarget, options: SshTransportOptions = {}): Promise<SshTransport> {
    const hops = await resolveTarget(target, options.user, options.signal);
    const connect = () => connectSsh(hops, options);
    return new SshTransport(target.name, describeHop(hops.at(-1)!), await connect(), () =>
      connectSsh(hops, { ...options, signal: undefined }),
    );
  }

  private constructor(host: string, where: string, connection: SshConnection, connect: () => Promise<SshConnection>) {
    this.host = host;
    this.#where = where;
    this.#connection = connection;
    this.#channels = new SshChannels(host, connection, connect);
    this.lost = this.#lost.signal;
    let reason = 'its server closed the connection';
    connection.client.on('error', (error) => {
      reason = error.message === 'Keepalive timeout' ? 'no sign of life' : error.message;
    });
    connection.client.once('close', () =>
      this.#lost.abort(
        new DynamoError('HOST_UNREACHABLE', `the link to ${host} (${where}) was lost: ${reason}`, {
          hint: 'What runs there goes on. Check the network and whether the host is up.',
        }),
      ),
    );
  }

  /** argv that connects standard input and output with the Unix socket named as its last word: for servers that do not forward. */
  bridgeBy(argv: readonly string[]): void {
    this.#bridge = argv;
  }

  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const late = options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs);
    const cut = anySignal(options.signal, late, this.lost);
    try {
      const started = this.#start(argv, options, 'short');
      const { channel, nonce } = await raceAbort(started, cut, (unwanted) => unwanted.channel.close());
      return await raceAbort(this.#finish(channel, nonce, options.stdin ?? ''), cut).catch((error: unknown) => {
        channel.close();
        throw error;
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (late?.aborted) throw notInTime(this.host, argv, options.timeoutMs!);
      throw this.#explain(error);
    }
  }

  async #finish(channel: ClientChannel, nonce: string, stdin: string | Uint8Array): Promise<ExecResult> {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const frames = { out: new FrameReader(nonce), err: new FrameReader(nonce) };
    let exit: Pick<ExecResult, 'code' | 'signal'> = { code: null, signal: null };
    channel.on('data', (chunk: Buffer) => stdout.push(frames.out.push(chunk)));
    channel.stderr.on('data', (chunk: Buffer) => stderr.push(frames.err.push(chunk)));
    channel.on('exit', (code: number | null, signal?: string) => {
      exit = { code, signal: signal ? `SIG${signal.replace(/^SIG/, '')}` : null };
    });
    channel.end(stdin);
    await new Promise<void>((resolve, reject) => {
      channel.on('error', reject);
      channel.once('close', resolve);
    });
    this.lost.throwIfAborted();
    if (!frames.out.begun) throw this.#noAnswer(frames.out.before, frames.err.before);
    return { ...exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
  }

  async connectSocket(path: string): Promise<Duplex> {
    this.lost.throwIfAborted();
    if (this.#forwards !== false) {
      try {
        const stream = await forward(this.#connection.client, path);
        this.#forwards = true;
        return stream;
      } catch (error) {
        this.lost.throwIfAborted();
        // "Forbidden" and "nobody listens" are one answer to OpenSSH, so the other way has to tell them apart.
        if (this.#forwards || !this.#bridge) throw nobody(this.host, path, error);
        const there = await this.exec(['test', '-S', path], { timeoutMs: CONNECT_SOCKET_MS });
        if (there.code !== 0) throw nobody(this.host, path, error);
      }
    }
    if (!this.#bridge) throw nobody(this.host, path, new Error('its SSH server does not forward'));
    const stream = await this.#openBridge(this.#bridge, path);
    this.#forwards = false;
    return stream;
  }

  async upload(
    files: readonly UploadFile[],
    onProgress?: (doneBytes: number, totalBytes: number) => void,
  ): Promise<void> {
    this.lost.throwIfAborted();
    try {
      await uploadFiles(this.host, this.#channels, (argv, options) => this.exec(argv, options), files, onProgress);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channels[Symbol.dispose]();
    this.#lost.abort(new DynamoError('HOST_UNREACHABLE', `the link to ${this.host} was closed`));
  }

  async #start(
    argv: readonly string[],
    options: ExecOptions,
    use: ChannelUse,
  ): Promise<{ channel: ClientChannel; nonce: string }> {
    const { line, script, nonce } = frameCommand(argv, options.env);
    try {
      const channel = await this.#channels.open(use, (client) => openExec(client, line));
      channel.on('error', () => {});
      channel.write(script);
      return { channel, nonce };
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** The bridge says `+` once it is connected; anything else is why it is not. */
  async #openBridge(bridge: readonly string[], path: string): Promise<Duplex> {
    const { channel, nonce } = await this.#start([...bridge, path], {}, 'long');
    const stream = new FramedStream(channel, nonce);
    const answer = await stream.firstByte(AbortSignal.timeout(BEGIN_MS)).catch((error: unknown) => {
      stream.destroy();
      throw this.#explain(error);
    });
    if (answer === '+') return stream;
    stream.destroy();
    throw nobody(this.host, path, new Error(answer));
  }

  #noAnswer(stdout: string, stderr: string): DynamoError {
    const said = `${stdout}\n${stderr}`
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    return new DynamoError(
      'HOST_UNREACHABLE',
      `${this.host}: logging in to ${this.#where} works, but it runs no command`,
      {
        hint: 'Does the account have a shell, and does no ForceCommand stand in its way? Its login files must not end the shell.',
        details: said.slice(0, 5),
      },
    );
  }

  #explain(error: unknown): unknown {
    if (this.lost.aborted) return this.lost.reason;
    if (error instanceof DynamoError) return error;
    if (error instanceof Error && error.name === 'AbortError') return error;
    return new DynamoError('HOST_UNREACHABLE', `${this.host}: ${messageOf(error)} (${this.#where})`, { cause: error });
  }
}

function forward(client: Client, path: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.openssh_forwardOutStreamLocal(path, (error, channel) => {
      if (error) return reject(error);
      channel.once('end', () => channel.end()); // as a socket does: whose other side has left is of no use
      resolve(channel);
    });
  });
}

function nobody(host: string, path: string, cause: unknown): DynamoError {
  const why = isRefusal(cause) ? '' : `: ${messageOf(cause)}`;
  return new DynamoError('CONNECT_FAILED', `nobody answers on ${path} of ${host}${why}`, { cause });
}
