import type { Place } from './source.ts';

/** A recipe's values with the place each was written, whichever file or `--set` it came from. Nodes are never changed in place. */
export type Tree = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  kind: 'scalar';
  value: string | number | boolean | null;
  /** Written without quotes: a substituted variable may turn it into a number. */
  plain: boolean;
  place: Place;
}

export interface ListNode {
  kind: 'list';
  items: readonly Tree[];
  place: Place;
}

export interface MapNode {
  kind: 'map';
  entries: ReadonlyMap<string, MapEntry>;
  place: Place;
}

export interface MapEntry {
  key: Place;
  node: Tree;
}

export type TreePath = readonly (string | number)[];

/** Ordinary data for the schema. */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(toPlain);
  // `defineProperty` semantics: a key `__proto__` is a key like any other.
  const plain: Record<string, unknown> = {};
  for (const [key, entry] of tree.entries)
    Object.defineProperty(plain, key, {
      value: toPlain(entry.node),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  return plain;
}

export function mapOver(tree: Tree, change: (scalar: ScalarNode, path: TreePath) => Tree, path: TreePath = []): Tree {
  if (tree.kind === 'scalar') return change(tree, path);
  if (tree.kind === 'list')
    return { ...tree, items: tree.items.map((item, index) => mapOver(item, change, [...path, index])) };
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of tree.entries)
    entries.set(key, { key: entry.key, node: mapOver(entry.node, change, [...path, key]) });
  return { ...tree, entries };
}

/** `over` wins: maps are merged key by key, everything else is replaced. `null` over an inherited key removes it. */
export function mergeTrees(under: Tree, over: Tree): Tree {
  if (under.kind !== 'map' || over.kind !== 'map') return over;
  const entries = new Map(under.entries);
  for (const [key, entry] of over.entries) {
    const inherited = entries.get(key);
    if (inherited && entry.node.kind === 'scalar' && entry.node.value === null) entries.delete(key);
    else entries.set(key, inherited ? { key: entry.key, node: mergeTrees(inherited.node, entry.node) } : entry);
  }
  return { kind: 'map', entries, place: over.place };
}

/** The deepest node that exists along the path, the place of its key, and whether the path was followed to its end. */
export function follow(tree: Tree, path: TreePath): { node: Tree; key: Place | undefined; complete: boolean } {
  let node = tree;
  let key: Place | undefined;
  for (const part of path) {
    if (node.kind === 'map') {
      const entry = node.entries.get(String(part));
      if (!entry) return { node, key, complete: false };
      node = entry.node;
      key = entry.key;
    } else if (node.kind === 'list') {
      const item = node.items[Number(part)];
      if (!item) return { node, key, complete: false };
      node = item;
      key = item.place;
    } else return { node, key, complete: false };
  }
  return { node, key, complete: true };
}

/** Where to point for a path: its value or its key; for something missing, the key it is missing under. */
export function placeOf(tree: Tree, path: TreePath, atKey: boolean): Place {
  const found = follow(tree, path);
  if (!found.complete) return found.key ?? firstLine(tree.place);
  if (found.node.kind !== 'scalar' || atKey) return found.key ?? firstLine(found.node.place);
  return found.node.place;
}

function firstLine(place: Place): Place {
  const lineEnd = place.source.text.indexOf('\n', place.start);
  return { ...place, end: Math.max(place.start, Math.min(place.end, lineEnd < 0 ? place.end : lineEnd)) };
}

/** Without what stands at `path`. */
export function removeAt(tree: Tree, path: TreePath): Tree {
  return changeAt(tree, path, undefined);
}

/** With the key at the end of `path` renamed. */
export function renameAt(tree: Tree, path: TreePath, name: string): Tree {
  return changeAt(tree, path, name);
}

function changeAt(tree: Tree, path: TreePath, rename: string | undefined): Tree {
  const [head, ...rest] = path;
  if (head === undefined) return tree;
  if (tree.kind === 'list') {
    const index = Number(head);
    const item = tree.items[index];
    if (!item) return tree;
    return rest.length === 0
      ? { ...tree, items: tree.items.toSpliced(index, 1) }
      : { ...tree, items: tree.items.with(index, changeAt(item, rest, rename)) };
  }
  const entry = tree.kind === 'map' ? tree.entries.get(String(head)) : undefined;
  if (tree.kind !== 'map' || !entry) return tree;
  const entries = new Map(tree.entries);
  if (rest.length > 0) entries.set(String(head), { key: entry.key, node: changeAt(entry.node, rest, rename) });
  else {
    entries.delete(String(head));
    if (rename !== undefined) entries.set(rename, entry);
  }
  return { ...tree, entries };
}
