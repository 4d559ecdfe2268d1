import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { attempt } from '../base/attempt.ts';
import type { EngineHelp } from '../engines/engine.ts';
import { parseHelp } from '../engines/flag-check.ts';
import { findCommand } from '../hosts/find-command.ts';

/** A cold Python on a busy machine imports for more than a minute. */
const HELP_TIMEOUT_MS = 180_000;

/** What an installed engine says of itself. */
export interface InstalledEngine {
  /** Null when it cannot tell: `--version` fails on working installations, too. */
  version: string | null;
  flags: string[];
}

export interface AskOptions {
  /** Answers are kept here, one file an installation. */
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Called before the program is run, which takes a while; not for kept answers. */
  onAsking(): void;
}

/** Flags of the installed program, asked of it once for each installation. Rejects with the reason when it cannot be known. */
export async function askInstalledEngine(help: EngineHelp, options: AskOptions): Promise<InstalledEngine> {
  const file = path.join(options.cacheDir, `${fingerprint(help, options.env)}.json`);
  const kept = readKept(file);
  if (kept) return kept;
  options.onAsking();
  const [version, text] = await Promise.all([run(help.version, options).catch(() => ''), run(help.help, options)]);
  const flags = parseHelp(text);
  if (!flags) throw new Error(`\`${help.help.join(' ')}\` lists no flags of a server`);
  const found: InstalledEngine = { version: parseVersion(version), flags: [...flags] };
  try {
    mkdirSync(options.cacheDir, { recursive: true, mode: 0o700 });
    writeFileAtomic(file, JSON.stringify(found));
  } catch {
    // Not kept: asked again next time.
  }
  return found;
}

/** `vllm 0.29.0`, `0.32.0+cpu`, `version: 6200 (abcdef)`. */
function parseVersion(text: string): string | null {
  return /\b(\d+\.\d+[\w.+-]*|(?<=version: )\d+)/.exec(text)?.[1] ?? null;
}

async function run([program = '', ...args]: readonly string[], { env, signal }: AskOptions): Promise<string> {
  const { execa } = await import('execa');
  const { all, failed, exitCode, timedOut } = await execa(program, args, {
    all: true,
    env,
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: HELP_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    cancelSignal: signal,
    maxBuffer: 4 * 1024 ** 2,
  });
  if (!failed) return all;
  const how = timedOut ? `gave no answer within ${HELP_TIMEOUT_MS / 1_000} s` : `failed with status ${exitCode ?? '?'}`;
  throw new Error(`\`${[program, ...args].join(' ')}\` ${how}`);
}

/**
 * Changes when the program or the package behind it changes: a script of a Python environment stays the same over upgrades,
 * but its package's `.dist-info` folder beside it carries the version.
 */
function fingerprint(help: EngineHelp, env: NodeJS.ProcessEnv): string {
  const program = findCommand(help.help[0] ?? '', env['PATH']) ?? '';
  const facts = [help.help, program, stampOf(program), ...packagesBeside(program, help.distribution)];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}

function packagesBeside(program: string, distribution: string | null): string[] {
  if (distribution === null) return [];
  // The script itself may be a link into another environment: both places count.
  const roots = new Set(
    [program, attempt(() => realpathSync(program), program)].map((file) => path.dirname(path.dirname(file))),
  );
  return [...roots].flatMap((root) => {
    const lib = path.join(root, 'lib');
    const pythons = attempt(() => readdirSync(lib), []).filter((name) => name.startsWith('python'));
    return pythons.flatMap((python) => {
      const folder = path.join(lib, python, 'site-packages');
      const names = attempt(() => readdirSync(folder), []);
      const own = names.filter((name) => name.startsWith(distribution) && name.endsWith('.dist-info'));
      return own.sort().map((name) => `${name} ${stampOf(path.join(folder, name))}`);
    });
  });
}

function stampOf(file: string): string {
  return attempt(() => {
    const { mtimeMs, size } = statSync(file);
    return `${mtimeMs} ${size}`;
  }, '');
}

function readKept(file: string): InstalledEngine | undefined {
  const kept = attempt(() => readJsonFile(file), undefined) as Partial<InstalledEngine> | undefined;
  return kept && Array.isArray(kept.flags) ? { version: kept.version ?? null, flags: kept.flags } : undefined;
}
