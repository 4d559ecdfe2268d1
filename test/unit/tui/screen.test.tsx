import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Decision } from '../../../src/frontend/decision-log.ts';
import type { ViewState } from '../../../src/tui/deployment-view.ts';
import { ASCII } from '../../../src/tui/text/glyphs.ts';
import { displayWidth } from '../../../src/tui/text/width.ts';
import type { UiState } from '../../../src/tui/ui-state.ts';
import { drawScreen } from '../../helpers/draw-screen.tsx';
import { hundredProcesses, recordedSnapshot, severalHosts, viewOf } from '../../helpers/recorded-view.ts';

// Hundreds of screens, on a machine that may have better things to do.
vi.setConfig({ testTimeout: 120_000 });

vi.hoisted(() => {
  process.env['FORCE_COLOR'] = '0';
});

const golden = (name: string) => path.resolve(import.meta.dirname, `../../fixtures/golden/tui/${name}.txt`);

const scenes: Record<string, ViewState> = {
  starting: viewOf(recordedSnapshot('starting')),
  loading: viewOf(recordedSnapshot('loading')),
  proving: viewOf(recordedSnapshot('proving')),
  ready: viewOf(recordedSnapshot('ready')),
  degraded: viewOf(recordedSnapshot('degraded')),
  crashed: viewOf(recordedSnapshot('crashed')),
  failed: viewOf(recordedSnapshot('failed')),
  unattended: viewOf(recordedSnapshot('unattended')),
  'hundred-processes': viewOf(hundredProcesses()),
  'several-hosts': viewOf(severalHosts()),
};

const ASCII_CASES: Partial<UiState>[] = [
  ...(['processes', 'traffic', 'events', 'routing'] as const).map((pane) => ({ pane })),
  { groupBy: 'host' },
  { overlay: 'details', selected: 'decode-0' },
  { overlay: 'help' },
];

/** Every screen fills its cells and no more. */
function expectToFit(text: string, columns: number, rows: number): void {
  const lines = text.split('\n');
  expect(lines).toHaveLength(rows);
  expect(lines.filter((line) => displayWidth(line) > columns)).toEqual([]);
}

describe('the screen', () => {
  for (const [name, view] of Object.entries(scenes)) {
    it.each([60, 80, 120])(`${name} at %i columns`, async (columns) => {
      const text = drawScreen(view, { columns });
      expectToFit(text, columns, 24);
      await expect(`${text}\n`).toMatchFileSnapshot(golden(`${name}-${columns}`));
    });
  }

  it('uses a tall screen', async () => {
    const text = drawScreen(scenes['ready']!, { columns: 120, rows: 50 });
    expectToFit(text, 120, 50);
    await expect(`${text}\n`).toMatchFileSnapshot(golden('ready-120x50'));
  });

  it('fits whatever size a terminal has', () => {
    for (const view of Object.values(scenes))
      for (const columns of [20, 40, 61, 200])
        for (const rows of [1, 8, 13, 70])
          for (const pane of ['processes', 'traffic', 'events', 'logs', 'routing'] as const)
            expectToFit(drawScreen(view, { columns, rows, ui: { pane } }), columns, rows);
  });

  it('uses a tall screen for several hosts, and for a crash', async () => {
    for (const [name, ui] of [
      ['several-hosts', { groupBy: 'host' }],
      ['crashed', { overlay: 'details', selected: 'decode-0' }],
    ] as const) {
      const text = drawScreen(scenes[name]!, { columns: 120, rows: 50, ui });
      expectToFit(text, 120, 50);
      await expect(`${text}\n`).toMatchFileSnapshot(golden(`${name}-120x50`));
    }
  });

  it('needs nothing but ASCII where the locale has no more', () => {
    for (const view of Object.values(scenes))
      for (const ui of ASCII_CASES) {
        const text = drawScreen(view, { ui, theme: { glyphs: ASCII } });
        expect([...text].filter((char) => char > '~')).toEqual([]);
      }
  });
});

const lines = Array.from({ length: 60 }, (_, index) => ({ seq: index + 1, text: `line ${index + 1} of the log` }));
const decisions: Decision[] = ['decode', 'prefill'].map((role) => ({
  at: '2026-11-21T08:10:23.656Z',
  requestId: '5a515246-ce83-427b-92a4-ef1cd094ebe4',
  model: 'mock-model',
  role,
  selection: {
    worker: `${role}-0`,
    generation: 1,
    mode: 'kv',
    reason: 'lowest cost',
    overlapBlocks: role === 'prefill' ? 8 : 0,
    promptTokens: 640,
    candidates: [`${role}-0`, `${role}-1`],
    costs: [0, 1].map((index) => ({
      worker: `${role}-${index}`,
      overlapBlocks: index === 0 ? 8 : 0,
      rawPrefillBlocks: 10,
      creditedOverlapBlocks: index === 0 ? 8 : 0,
      decodeBlocks: index,
      cost: index === 0 ? 2 : 11,
    })),
  },
}));

const panes: [string, Partial<UiState>, Partial<ViewState>][] = [
  ['traffic', { pane: 'traffic' }, {}],
  ['events', { pane: 'events' }, {}],
  ['logs', { pane: 'logs' }, { log: { name: 'decode-1', lines } }],
  [
    'logs-searched',
    { pane: 'logs', log: { name: 'decode-1', search: '3', filter: 'line 3', wraps: false, anchor: 33 } },
    { log: { name: 'decode-1', lines } },
  ],
  ['routing', { pane: 'routing', decision: 1 }, { decisions }],
  ['help', { overlay: 'help' }, {}],
  ['details', { overlay: 'details', selected: 'decode-1' }, {}],
  ['by-host', { groupBy: 'host', selected: 'decode-1' }, {}],
  [
    'confirm',
    { dialog: { question: 'Restart decode-1? It drains first, then starts anew.', effect: { type: 'adopt' } } },
    {},
  ],
  ['scaling', { prompt: { kind: 'scale', text: 'decode=x', problem: '"decode=x" says of no group' } }, {}],
  ['typing', { pane: 'logs', prompt: { kind: 'filter', text: 'error' } }, {}],
];

const withGpus = () => {
  const snapshot = recordedSnapshot('degraded');
  const gpu = { name: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * 1024 ** 3, temperatureC: 61 };
  const use = (index: number, share: number) => ({
    ...gpu,
    index,
    utilisation: share * 100,
    memoryUsedBytes: share * gpu.memoryBytes,
    powerW: 100 + 600 * share,
  });
  const gpus = [use(0, 0.95), use(1, 0.9), use(2, 0.4), use(3, 0)];
  return { ...snapshot, hosts: [{ name: 'local', reachable: true, agent: 'connected' as const, gpus, links: [] }] };
};

describe('panes and covers', () => {
  it('processes by host, with the use of GPUs', async () => {
    const text = drawScreen(viewOf(withGpus()), { ui: { groupBy: 'host' } });
    expectToFit(text, 80, 24);
    await expect(`${text}\n`).toMatchFileSnapshot(golden('pane-by-host-gpus'));
    for (const columns of [20, 40, 120])
      expectToFit(drawScreen(viewOf(withGpus()), { columns, ui: { groupBy: 'host' } }), columns, 24);
  });

  it('a crash: cause, next step, report and last lines, also on a small screen', async () => {
    const view = viewOf(recordedSnapshot('crashed'));
    const { lastExit } = view.snapshot.processes.find(({ name }) => name === 'decode-0')!;
    for (const columns of [60, 80]) {
      const text = drawScreen(view, { columns, ui: { overlay: 'details', selected: 'decode-0' } });
      expectToFit(text, columns, 24);
      const flat = text.replaceAll(/\s+/g, '');
      for (const said of [lastExit!.cause!, lastExit!.fix!, lastExit!.report!])
        expect(flat).toContain(said.replaceAll(/\s+/g, ''));
      await expect(`${text}\n`).toMatchFileSnapshot(golden(`pane-crash-${columns}`));
    }
  });

  it('a question that is longer than the row still says how it is answered', () => {
    const question = 'Scale to prefill=12 decode=24? Workers that go drain first.';
    const dialog = { question, effect: { type: 'adopt' as const } };
    const last = drawScreen(viewOf(recordedSnapshot('ready')), { columns: 60, ui: { dialog } })
      .split('\n')
      .at(-1);
    expect(last).toMatch(/^Scale to prefill=12 .* y yes {2}n no$/);
  });

  it('hosts with their agents, GPUs and links', async () => {
    const text = drawScreen(viewOf(severalHosts()), { columns: 120, rows: 30, ui: { groupBy: 'host' } });
    expectToFit(text, 120, 30);
    expect(text).toMatch(/node-c \(lost\)/);
    expect(text).toMatch(/mlx5_3 down/);
    await expect(`${text}\n`).toMatchFileSnapshot(golden('pane-several-hosts'));
  });

  it.each(panes)('%s', async (name, ui, change) => {
    const text = drawScreen(viewOf(recordedSnapshot('degraded'), change), { ui });
    expectToFit(text, 80, 24);
    await expect(`${text}\n`).toMatchFileSnapshot(golden(`pane-${name}`));
  });

  it('shows the chosen one of a hundred processes', () => {
    const text = drawScreen(scenes['hundred-processes']!, { ui: { selected: 'decode-50' } });
    expect(text).toContain('› decode-50');
  });

  it('draws what a log or a reason holds as text, never as commands to the terminal', () => {
    const snapshot = recordedSnapshot('degraded');
    const nasty = '\u001b[2J\u001b]0;title\u0007red\u001b[31m\ttab\r\n';
    snapshot.error = { code: 'NOT_READY', message: 'no', hint: 'h', details: [nasty], exit: 5 };
    snapshot.state = 'failed';
    const view = viewOf(snapshot, {
      events: [{ seq: 1, at: '', source: 'agent', process: null, type: 'state', message: nasty }],
    });
    for (const pane of ['processes', 'events'] as const) {
      const text = drawScreen(view, { ui: { pane } });
      expect(text).toContain('red    tab');
      expect([...text].filter((char) => char < ' ' && char !== '\n')).toEqual([]);
    }
  });
});
