import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { writeRecord } from '../../src/deployment/record.ts';
import { deploymentPaths } from '../../src/deployment/state-dir.ts';
import { planHash } from '../../src/plan/plan-hash.ts';
import { tmpDir } from '../helpers/tmp-dir.ts';
import { trivialPlan, trivialProcess } from '../helpers/trivial-plan.ts';

const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;
const tmp = tmpDir();
const bin = path.join(tmp.dir, 'bin');
const env = { ...process.env, DYNAMO_HOME: path.join(tmp.dir, 'home'), PATH: `${bin}:${process.env['PATH']}` };

beforeAll(() => {
  mkdirSync(bin);
  symlinkSync(path.join(packageRoot, 'bin', 'dynamo'), path.join(bin, 'dynamo'));
  const plan = trivialPlan('alpha', [trivialProcess('worker-0'), trivialProcess('worker-1')]);
  const { dir, record } = deploymentPaths(path.join(env.DYNAMO_HOME, 'deployments', 'alpha'));
  mkdirSync(dir, { recursive: true });
  writeRecord(record, {
    name: 'alpha',
    recipeFile: 'alpha.yaml',
    recipeHash: '',
    recipeText: '',
    plan,
    planHash: planHash(plan),
    generation: 1,
    phase: 'committed',
    startedAt: new Date(0).toISOString(),
    error: null,
  });
  writeFileSync(path.join(tmp.dir, 'mine.yaml'), 'name: mine\n');
});
afterAll(() => tmp[Symbol.dispose]());

/** What bash offers after `line`, by the variables that readline would set. */
function bash(line: string): string[] {
  const words = line.split(' ');
  const script = `
    source <(dynamo completion bash)
    compopt() { :; }
    COMP_LINE=${quote(line)} COMP_POINT=${line.length}
    COMP_WORDS=(${words.map(quote).join(' ')}) COMP_CWORD=${words.length - 1}
    _dynamo && printf '%s\\n' "\${COMPREPLY[@]}"`;
  return lines(execFileSync('bash', ['--norc', '-c', script], { env, cwd: tmp.dir, encoding: 'utf8' }));
}

const quote = (text: string) => `'${text}'`;
const lines = (text: string) => text.split('\n').filter(Boolean);

const CASES: [line: string, includes: string[]][] = [
  ['dynamo sta', ['status']],
  ['dynamo recipe va', ['validate']],
  ['dynamo serve quick', ['quickstart']],
  ['dynamo serve mi', ['mine.yaml']],
  ['dynamo status ', ['alpha']],
  ['dynamo drain worker-', ['worker-0', 'worker-1']],
  ['dynamo drain --deployment al', ['alpha']],
  ['dynamo plan --facts mi', ['mine.yaml']],
  ['dynamo completion f', ['fish']],
  ['dynamo logs --fol', ['--follow']],
];

describe('completion in bash', () => {
  it.each(CASES)('%s', (line, expected) => {
    const offered = bash(line);
    expect(offered).toEqual(expect.arrayContaining(expected));
    const typed = line.split(' ').at(-1)!;
    expect(offered.filter((word) => !word.startsWith(typed))).toEqual([]);
  });

  it('is not confused by words that bash cuts in pieces', () => {
    expect(bash('dynamo serve --set workers.decode.replicas=2 quick')).toContain('quickstart');
    expect(bash('dynamo chat --url http://127.0.0.1:8000 --te')).toEqual(['--temperature']);
  });

  it('says nothing where nothing fits, and leaves no error on the terminal', () => {
    expect(bash('dynamo nonsense ')).toEqual([]);
    expect(bash('dynamo ls ')).toEqual([]);
  });
});

describe.skipIf(!has('zsh'))('completion in zsh', () => {
  // zsh completes only on a terminal: it gets one from its own zpty module.
  const zsh = (line: string) => {
    const script = `
      zmodload zsh/zpty
      zpty child zsh -f -i
      zpty -w child 'PS1="" ; autoload -Uz compinit && compinit -u -D ; source <(dynamo completion zsh) ; zstyle ":completion:*" list-grouped no ; bindkey "^T" list-choices; print READY-$((6*7))'
      zpty -m -r child text '*READY-42*'
      zpty -n -w child ${quote(line)}$'\\t\\x14'
      zpty -n -w child $'\\x01print -r -- "\\x05"; print DONE-$((6*7))\\n'
      zpty -m -r child text '*DONE-42*'
      print -r -- "$text"
      zpty -d child`;
    return execFileSync('zsh', ['-f', '-c', script], {
      env: { ...env, TERM: 'xterm' },
      cwd: tmp.dir,
      encoding: 'utf8',
    });
  };

  it.each([
    ['dynamo sta', 'status'],
    ['dynamo serve quick', 'quickstart'],
    ['dynamo drain --deployment al', 'alpha'],
  ])('%s', (line, expected) => {
    expect(zsh(line)).toContain(expected);
  });
});

describe.skipIf(!has('fish'))('completion in fish', () => {
  const fish = (line: string) =>
    lines(
      execFileSync('fish', ['--no-config', '-c', `dynamo completion fish | source; complete -C ${quote(line)}`], {
        env: { ...env, HOME: tmp.dir },
        cwd: tmp.dir,
        encoding: 'utf8',
      }),
    ).map((text) => text.split('\t')[0]);

  it.each(CASES)('%s', (line, expected) => {
    expect(fish(line)).toEqual(expect.arrayContaining(expected));
  });
});
