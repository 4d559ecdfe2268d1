import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { agentPaths, deploymentPaths } from '../../../src/deployment/state-dir.ts';
import { START_STEPS } from '../../../src/supervise/start-steps.ts';
import { RANK } from '../../helpers/layer-ranks.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const page = read('docs/architecture.md');

function sectionOf(heading: string): string {
  return page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
}

describe('docs/architecture.md', () => {
  it('has the layer table that the layers test enforces', () => {
    const rows = [...sectionOf('Layers').matchAll(/^\| ([\d.]+) \| (.*?) \|/gm)];
    const table = rows.flatMap(([, rank, folders]) =>
      [...folders!.matchAll(/`([\w.]+)\/?`/g)].map((match) => [match[1]!, Number(rank)] as const),
    );
    expect(Object.fromEntries(table)).toEqual(RANK);
    const ranks = table.map(([, rank]) => rank);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
  });

  it('lists the steps of a start in their order, with who acts', () => {
    const rows = [...sectionOf('The life of a start').matchAll(/^\| `(\w+)` \| ([\w, ]+) \|/gm)];
    const steps = rows.map(([, name, actors]) => ({ name, actors: actors!.split(', ') }));
    expect(steps).toEqual(START_STEPS.map(({ name, actors }) => ({ name, actors: [...actors] })));
  });

  it('has a line for every dependency, and no other', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
    const named = [...sectionOf('Dependencies').matchAll(/^- `([^`]+)`: .+/gm)].map((match) => match[1]!);
    expect(named.sort()).toEqual(Object.keys({ ...manifest['dependencies'], ...manifest['devDependencies'] }).sort());
  });

  it('shows the state machines as the code draws them', () => {
    const diagrams = [...page.matchAll(/From `([^`]+)`:\n\n```text\n([\s\S]*?)\n```/g)];
    expect(diagrams).toHaveLength(12);
    for (const [, file, diagram] of diagrams) {
      const lines = new Set(
        read(file!)
          .split('\n')
          .map((line) => line.replace(/^ ?[*#]/, '').trim()),
      );
      for (const line of diagram!.split('\n')) expect(lines, `${file}: ${line}`).toContain(line.trim());
    }
  });

  it('names every file and folder of the state folder', () => {
    const text = sectionOf('The state folder');
    const { dir: _, ...deployment } = deploymentPaths('D');
    const { dir: __, ...agent } = agentPaths('D', 'HOST');
    for (const file of [...Object.values(deployment), ...Object.values(agent)]) {
      expect(text, file).toContain(path.basename(file));
    }
  });
});
