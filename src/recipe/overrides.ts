import { formatPath, type Problem } from '../yaml/problem.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import type { Place, Source } from '../yaml/source.ts';
import type { MapEntry, Tree } from '../yaml/tree.ts';

/**
 * Applies `path=value`, the `number`th `--set` (from 1). The value is YAML. A path has dots and list indices:
 * `workers.prefill.replicas`, `models[0].engine` or `models.0.engine`; a key that has dots itself stands in double quotes.
 * `null` removes what is there.
 */
export function applyOverride(tree: Tree, text: string, number: number, problems: Problem[]): Tree {
  const source: Source = { name: `--set #${number}`, text };
  const whole: Place = { source, start: 0, end: text.length };
  const separator = findSeparator(text);
  if (separator < 0) {
    problems.push({ place: whole, message: 'expected path=value, such as workers.prefill.replicas=2' });
    return tree;
  }
  const path = parsePath(text.slice(0, separator));
  const at: Place = { source, start: 0, end: separator };
  if (!path) {
    problems.push({ place: at, message: 'not a path; expected keys with dots between them' });
    return tree;
  }
  if (path[0] === 'base') {
    problems.push({ place: at, message: '`base` is part of the file and cannot be overridden' });
    return tree;
  }
  // Blanks instead of the path keep every offset of the value right.
  const blanked: Source = { name: source.name, text: ' '.repeat(separator + 1) + text.slice(separator + 1) };
  const value = withSource(readYaml(blanked, problems), source);
  return setAt(tree, path, value, at, problems, []);
}

function setAt(
  tree: Tree,
  path: readonly (string | number)[],
  value: Tree,
  at: Place,
  problems: Problem[],
  done: readonly (string | number)[],
): Tree {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  const here = [...done, head];
  if (tree.kind === 'list') {
    const index = typeof head === 'number' || /^\d+$/.test(head) ? Number(head) : -1;
    const item = tree.items[index];
    if (item) return { ...tree, items: tree.items.with(index, setAt(item, rest, value, at, problems, here)) };
    const length = tree.items.length;
    if (index === length)
      return { ...tree, items: [...tree.items, setAt(emptyMap(at), rest, value, at, problems, here)] };
    problems.push({
      place: at,
      message: `\`${formatPath(done)}\` is a list of ${length}; expected an index from 0 to ${length}, found \`${head}\``,
    });
    return tree;
  }
  const entries = new Map<string, MapEntry>(tree.kind === 'map' ? tree.entries : []);
  if (tree.kind === 'scalar' && tree.value !== null) {
    problems.push({
      place: at,
      message: `\`${formatPath(done)}\` is a plain value and has no \`${head}\` inside`,
    });
    return tree;
  }
  const key = String(head);
  if (rest.length === 0 && value.kind === 'scalar' && value.value === null && entries.delete(key))
    return { kind: 'map', entries, place: tree.place };
  const inner = entries.get(key)?.node ?? emptyMap(at);
  entries.set(key, { key: at, node: setAt(inner, rest, value, at, problems, here) });
  return { kind: 'map', entries, place: tree.kind === 'map' ? tree.place : at };
}

const emptyMap = (place: Place): Tree => ({ kind: 'map', entries: new Map(), place });

/** Index of the `=` that ends the path: the first one outside double quotes. */
function findSeparator(text: string): number {
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '"') quoted = !quoted;
    else if (text[index] === '=' && !quoted) return index;
  }
  return -1;
}

function parsePath(text: string): (string | number)[] | undefined {
  const parts: (string | number)[] = [];
  const token = /(?:^|\.)(?:"([^"]+)"|([^.[\]"\s]+))|\[(\d+)\]/gy;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (!match) return undefined;
    parts.push(match[3] === undefined ? (match[1] ?? match[2] ?? '') : Number(match[3]));
  }
  return parts.length > 0 ? parts : undefined;
}

function withSource(tree: Tree, source: Source): Tree {
  const move = (place: Place): Place => ({ ...place, source });
  if (tree.kind === 'scalar') return { ...tree, place: move(tree.place) };
  if (tree.kind === 'list')
    return { ...tree, place: move(tree.place), items: tree.items.map((item) => withSource(item, source)) };
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of tree.entries)
    entries.set(key, { key: move(entry.key), node: withSource(entry.node, source) });
  return { kind: 'map', entries, place: move(tree.place) };
}
