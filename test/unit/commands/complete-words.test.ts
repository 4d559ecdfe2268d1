import { describe, expect, it } from 'vitest';
import { type CompletionSources, completeWords, renderCompletion } from '../../../src/commands/complete-words.ts';
import { buildProgram } from '../../../src/commands/program.ts';
import { COMMANDS } from '../../../src/commands/registry.ts';

const named = (...names: string[]) => names.map((value) => ({ value, about: `about ${value}` }));
const SOURCES: CompletionSources = {
  recipes: () => named('quickstart', 'mocker-aggregated'),
  templates: () => named('mock', 'one-gpu'),
  deployments: () => named('alpha', 'beta'),
  processes: (deployment) => (deployment === 'beta' ? named('frontend', 'beta-0') : named('frontend', 'decode-0')),
  roles: () => named('prefill', 'decode'),
};
const complete = (...words: string[]) => completeWords(buildProgram(''), words, SOURCES);
const values = (...words: string[]) => complete(...words).candidates.map(({ value }) => value);

describe('completion', () => {
  it('names every visible command, and none that is hidden', () => {
    const visible = COMMANDS.filter((entry) => !entry.hidden).map((entry) => entry.name);
    expect(values('')).toEqual([...visible, 'help']);
    expect(values('sta')).toEqual(['status']);
    expect(values('nonsense', '')).toEqual([]);
  });

  it('names subcommands and the commands of help', () => {
    expect(values('recipe', 'v')).toEqual(['validate']);
    expect(values('help', 'ser')).toEqual(['serve']);
  });

  it('names options, long and visible', () => {
    expect(values('logs', '--fo')).toEqual(['--follow']);
    expect(values('--ver')).toEqual(['--version', '--verbose']);
    expect(values('bench', '--synthetic')).toEqual([]);
  });

  it('completes arguments by what they are', () => {
    expect(values('serve', 'q')).toEqual(['quickstart']);
    expect(complete('serve', 'rec').files).toBe(true);
    expect(values('recipe', 'show', '')).toEqual(['quickstart', 'mocker-aggregated']);
    expect(values('status', '')).toEqual(['alpha', 'beta']);
    expect(values('bench', '')).toEqual(['alpha', 'beta', 'quickstart', 'mocker-aggregated']);
    expect(values('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('completes processes of the deployment on the line', () => {
    expect(values('drain', '')).toEqual(['frontend', 'decode-0']);
    expect(values('drain', '--deployment', 'beta', '')).toEqual(['frontend', 'beta-0']);
    expect(values('drain', 'frontend', '')).toEqual(['decode-0']);
    expect(values('drain', '--deployment', '')).toEqual(['alpha', 'beta']);
  });

  it('completes groups of workers up to their number', () => {
    expect(complete('scale', 'pre')).toMatchObject({ candidates: [{ value: 'prefill=' }], open: true });
    expect(values('logs', '')).toEqual(['alpha', 'beta', 'frontend', 'decode-0']);
  });

  it('knows which words are values of options', () => {
    expect(values('chat', '--system', 'be brief', 'al')).toEqual(['alpha']);
    expect(values('status', '--json', 'al')).toEqual(['alpha']);
    expect(values('chat', '--url', '')).toEqual([]);
    expect(complete('plan', '--facts', '').files).toBe(true);
    expect(values('chat', '--', '--al')).toEqual([]);
  });

  it('is written as hints and candidates', () => {
    expect(renderCompletion(complete('serve', 'q'))).toBe(':files\nquickstart\tabout quickstart\n');
    expect(renderCompletion(complete('ls', ''))).toBe(':\n');
  });
});
