import nodeModule from 'node:module';
import { CommanderError } from 'commander';
import { DynamoError, messageOf } from './base/errors.ts';
import { inAscii, showsUtf8 } from './base/locale.ts';
import { packageRoot, packageVersion } from './base/package-root.ts';
import { buildProgram } from './commands/program.ts';

/**
 * The entry file, and the only one that ends the process. Builds the program, runs one command, prints one error, sets the
 * exit status. A command's code loads when it is chosen, so `--help` stays fast.
 */
nodeModule.enableCompileCache?.();
// The kit of a remote host has a cache of its own (`dynamo` in it says so), which is not for the engines it starts.
if (process.env['NODE_COMPILE_CACHE']?.startsWith(packageRoot)) delete process.env['NODE_COMPILE_CACHE'];

/** Oldest Node that everything dynamo is built on supports (`engines` in package.json). */
const OLDEST_NODE = [22, 19] as const;

async function main(argv: string[]): Promise<number> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    process.stderr.write(
      `error: dynamo needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}\n`,
    );
    return 4;
  }
  const program = buildProgram(packageVersion());
  try {
    await program.parseAsync(argv);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error, program.opts<{ verbose?: boolean }>().verbose === true, argv.includes('--json'));
  }
}

/** Prints an error once, for people or as JSON, and returns the exit status. */
function report(error: unknown, verbose: boolean, json: boolean): number {
  if (error instanceof CommanderError) {
    // Help and version end with 0; commander has already printed the text.
    if (error.exitCode === 0) return 0;
    const message = error.message.replace(/^error: /, '');
    if (json) process.stdout.write(`${JSON.stringify({ error: new DynamoError('USAGE', message).toJSON() })}\n`);
    return 2;
  }
  if (error instanceof DynamoError) {
    if (json) process.stdout.write(`${JSON.stringify({ error: error.toJSON() })}\n`);
    process.stderr.write(`error: ${error.message} [${error.code}]\n`);
    for (const line of error.details) process.stderr.write(`  ${line}\n`);
    process.stderr.write(`hint: ${error.hint}\n`);
    if (verbose) process.stderr.write(`${describeCauses(error)}\n`);
    return error.exitStatus;
  }
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : ''}\n`);
  process.stderr.write('This is a bug in dynamo. Please report it with the lines above.\n');
  return 1;
}

function describeCauses(error: Error): string {
  const lines = [error.stack ?? error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    lines.push(`caused by: ${cause.stack ?? cause.message}`);
  return lines.join('\n');
}

// A reader that went away (`dynamo status | head`), or a terminal that was closed, is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || error.code === 'EIO') process.exit(0);
  throw error;
});
// What nobody reads on standard error is no reason to stop.
process.stderr.on('error', () => {});

// Where the locale knows no UTF-8, signs of ours become ASCII. JSON is UTF-8 by definition.
if (!showsUtf8(process.env, process.platform) && !process.argv.includes('--json')) {
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream) as (chunk: string | Uint8Array, ...rest: unknown[]) => boolean;
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) =>
      write(typeof chunk === 'string' ? inAscii(chunk) : chunk, ...rest);
  }
}

process.exit(await main(process.argv));
