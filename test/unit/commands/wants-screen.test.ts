import { expect, it } from 'vitest';
import { wantsScreen } from '../../../src/commands/wants-screen.ts';

const terminal = { stdinIsTty: true, stdoutIsTty: true, term: 'xterm-256color' };

it('shows the screen on a terminal and nowhere else', () => {
  expect(wantsScreen({}, terminal)).toBe(true);
  expect(wantsScreen({ tui: true }, terminal)).toBe(true);
  for (const flags of [{ tui: false }, { json: true }, { detach: true }])
    expect(wantsScreen(flags, terminal)).toBe(false);
  for (const lacking of [{ stdinIsTty: false }, { stdoutIsTty: false }, { term: 'dumb' }])
    expect(wantsScreen({}, { ...terminal, ...lacking })).toBe(false);
});
