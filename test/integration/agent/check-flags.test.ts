import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkInstalledFlags } from '../../../src/agent/check-flags.ts';
import { DynamoError } from '../../../src/base/errors.ts';
import type { ProcessSpec } from '../../../src/plan/launch-plan.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

const HELP = 'usage: vllm serve\n  --host HOST\n  --port PORT\n  --max-model-len N\n';

/** A Python environment with a `vllm` that notes how it was called. */
function fakeVllm(dir: string, parts: { version?: string; help?: string } = {}) {
  const { version = 'echo 0.29.0', help = `cat <<'EOF'\n${HELP}EOF` } = parts;
  const program = path.join(dir, 'bin', 'vllm');
  const calls = path.join(dir, 'calls');
  mkdirSync(path.dirname(program), { recursive: true });
  const packages = path.join(dir, 'lib', 'python3.12', 'site-packages');
  mkdirSync(path.join(packages, 'vllm-0.29.0.dist-info'), { recursive: true });
  writeFileSync(
    program,
    `#!/bin/sh\necho "$@" >> ${calls}\ncase "$1" in --version) ${version};; serve) ${help}\n;; esac\n`,
  );
  chmodSync(program, 0o755);
  return {
    program,
    packages,
    calls: () => (existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n').sort() : []),
  };
}

async function check(dir: string, argvs: string[][], env: NodeJS.ProcessEnv = {}) {
  const notes: string[] = [];
  const specs = argvs.map((argv, index) => ({ name: `decode-${index}`, engine: 'vllm', argv }) as ProcessSpec);
  const error = await checkInstalledFlags(specs, {
    cacheDir: path.join(dir, 'cache'),
    environment: () => ({ PATH: process.env['PATH'], ...env }),
    note: (message) => notes.push(message),
    signal: new AbortController().signal,
  }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { notes, error: error as DynamoError | undefined };
}

describe('checkInstalledFlags', () => {
  it('asks once for all workers, keeps the answer, and names unknown flags', async () => {
    using folder = tmpDir();
    const { program, calls } = fakeVllm(folder.dir);
    const good = [program, 'serve', 'm', '--host', 'x', '--max_model_len', '1'];
    const bad = [program, 'serve', 'm', '--max-model-length', '1', '--wide-open'];
    const first = await check(folder.dir, [good, bad]);
    expect(first.error).toBeInstanceOf(DynamoError);
    expect(first.error).toMatchObject({
      code: 'RECIPE_INVALID',
      message: 'vllm 0.29.0 does not take every flag of this plan',
      details: [
        'decode-1: vllm 0.29.0 has no flag --max-model-length; did you mean --max-model-len?',
        'decode-1: vllm 0.29.0 has no flag --wide-open',
      ],
    });
    expect(first.notes).toEqual([expect.stringMatching(/^asking .*vllm once which flags it knows/)]);
    const second = await check(folder.dir, [good]);
    expect(second).toEqual({ notes: [], error: undefined });
    expect(calls()).toEqual(['--version', 'serve --help=all']);
  });

  it('asks again when the program or its package was replaced', async () => {
    using folder = tmpDir();
    const { program, packages, calls } = fakeVllm(folder.dir);
    const argv = [program, 'serve', 'm', '--port', '1'];
    await check(folder.dir, [argv]);
    mkdirSync(path.join(packages, 'vllm-0.30.0.dist-info'));
    await check(folder.dir, [argv]);
    expect(calls()).toHaveLength(4);
    appendFileSync(program, '# patched\n');
    await check(folder.dir, [argv]);
    expect(calls()).toHaveLength(6);
    mkdirSync(path.join(packages, 'other-1.0.dist-info'));
    await check(folder.dir, [argv]);
    expect(calls()).toHaveLength(6);
  });

  it('does without a version that cannot be told', async () => {
    using folder = tmpDir();
    const { program } = fakeVllm(folder.dir, { version: 'echo "No package metadata was found for vllm" >&2; exit 1' });
    const { error } = await check(folder.dir, [[program, 'serve', 'm', '--nope']]);
    expect(error?.details).toEqual(['decode-0: vllm has no flag --nope']);
  });

  it.each([
    ['fails', 'exit 3', /`.*vllm serve --help=all` failed with status 3$/],
    ['prints another help', 'echo usage', /lists no flags of a server$/],
  ])('leaves an engine unchecked whose help %s, and says so', async (_, help, reason) => {
    using folder = tmpDir();
    const { program } = fakeVllm(folder.dir, { help });
    const { error, notes } = await check(folder.dir, [[program, 'serve', 'm', '--nope']]);
    expect(error).toBeUndefined();
    expect(notes.at(-1)).toMatch(/^flags of vllm were not checked: /);
    expect(notes.at(-1)).toMatch(reason);
  });

  it('looks at the words after the engine only, and can be switched off', async () => {
    using folder = tmpDir();
    const { program, calls } = fakeVllm(folder.dir);
    const wrapped = ['env', '--ignore-signal=USR1', program, 'serve', 'm', '--port', '1'];
    expect((await check(folder.dir, [wrapped])).error).toBeUndefined();
    const asked = calls().length;
    const off = await check(folder.dir, [[program, 'serve', 'm', '--nope']], { DYNAMO_FLAG_CHECK: 'off' });
    expect(off).toEqual({ notes: [], error: undefined });
    expect(calls()).toHaveLength(asked);
  });

  it('asks nothing of processes that are no engine', async () => {
    const specs = [
      { name: 'frontend', engine: null, argv: ['dynamo', 'frontend', '--nope'] },
    ] as unknown as ProcessSpec[];
    await checkInstalledFlags(specs, {
      cacheDir: '/nowhere',
      environment: () => ({}),
      note: () => expect.unreachable(),
      signal: new AbortController().signal,
    });
  });

  it('refuses a version that is too old, with how to install another; notes one that is new; asks no more of one that cannot tell', async () => {
    const withVersion = async (version: string, env: NodeJS.ProcessEnv = {}) => {
      using folder = tmpDir();
      const { program } = fakeVllm(folder.dir, { version });
      return await check(folder.dir, [[program, 'serve', 'm', '--port', '1']], env);
    };
    const old = await withVersion('echo 0.11.2');
    expect(old.error).toMatchObject({
      code: 'RECIPE_INVALID',
      message: expect.stringContaining('decode-0: vllm 0.11.2 is too old: dynamo needs 0.22.0 or newer'),
      hint: expect.stringContaining('uv pip install vllm'),
    });
    expect((await withVersion('echo 0.11.2', { DYNAMO_FLAG_CHECK: 'off' })).error).toBeUndefined();
    const newer = await withVersion('echo 9.0.0');
    expect(newer.error).toBeUndefined();
    expect(newer.notes.join()).toContain('vllm 9.0.0 is newer than 0.32.0');
    // A broken `--version` is not "not installed".
    expect((await withVersion('echo boom >&2; exit 1')).error).toBeUndefined();
  });
});
