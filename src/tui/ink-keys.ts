import type { Key as InkKey } from 'ink';
import type { Key, KeyName } from './press-key.ts';

const NAMED: readonly [keyof InkKey, KeyName][] = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['leftArrow', 'left'],
  ['rightArrow', 'right'],
  ['pageUp', 'page-up'],
  ['pageDown', 'page-down'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'enter'],
  ['escape', 'escape'],
  ['backspace', 'backspace'],
  ['delete', 'backspace'],
];

/** Ink's idea of an input as keys. What was typed or pasted fast comes as one text: each character counts. */
export function keysOf(input: string, key: InkKey): Key[] {
  if (key.ctrl) return input === 'c' ? [{ name: 'ctrl-c' }] : [];
  if (key.tab) return [{ name: key.shift ? 'back-tab' : 'tab' }];
  const named = NAMED.find(([flag]) => key[flag] === true);
  if (named) return [{ name: named[1] }];
  if (key.meta) return [];
  return [...input].flatMap((char): Key[] => {
    if (char === '\r' || char === '\n') return [{ name: 'enter' }];
    return char >= ' ' && char !== '\x7f' ? [{ char }] : [];
  });
}
