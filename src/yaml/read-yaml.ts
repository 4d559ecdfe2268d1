import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';
import type { Problem } from './problem.ts';
import type { Place, Source } from './source.ts';
import type { MapEntry, Tree } from './tree.ts';

/** Beyond these a text is no file of ours: stops aliases that refer to aliases from growing without end. */
const MOST_NODES = 20_000;
const DEEPEST = 40;

/** Reads YAML 1.2 (so JSON too) with places. Syntax problems are added to `problems`; the tree is then what could be read. */
export function readYaml(source: Source, problems: Problem[]): Tree {
  const whole: Place = { source, start: 0, end: source.text.length };
  const document = parseDocument(source.text, { prettyErrors: false, merge: true });
  let unreadable = false;
  for (const error of [...document.errors, ...document.warnings]) {
    const place = { source, start: error.pos[0], end: Math.max(error.pos[1], error.pos[0] + 1) };
    const local = error.code === 'DUPLICATE_KEY' || error.code === 'MULTIPLE_DOCS' || error.name === 'YAMLWarning';
    // The first one throws the parser off course; what it says afterwards helps nobody.
    if (!local && unreadable) continue;
    unreadable ||= !local;
    problems.push({ place, message: explainSyntax(error.code, error.message, place), unreadable: !local });
  }
  let nodes = 0;
  let tooLarge = false;
  const nothing = (place: Place): Tree => ({ kind: 'scalar', value: null, plain: true, place });

  const convert = (node: unknown, fallback: Place, depth: number): Tree => {
    nodes += 1;
    if (nodes > MOST_NODES || depth > DEEPEST) {
      if (!tooLarge) problems.push({ place: fallback, message: 'too many or too deeply nested values for one file' });
      tooLarge = true;
      return nothing(fallback);
    }
    const place = rangeOf(node, source) ?? fallback;
    if (isAlias(node)) return convert(node.resolve(document), place, depth + 1);
    if (isSeq(node)) return { kind: 'list', items: node.items.map((item) => convert(item, place, depth + 1)), place };
    if (isMap(node)) return { kind: 'map', entries: convertMap(node, place, depth), place };
    if (isScalar(node)) {
      const { value } = node;
      if (value === null || ['string', 'number', 'boolean'].includes(typeof value))
        return {
          kind: 'scalar',
          value: value as string | number | boolean | null,
          plain: node.type === 'PLAIN',
          place,
        };
      problems.push({ place, message: 'expected text, a number, true, false or nothing' });
    }
    return nothing(place);
  };

  const convertMap = (map: YAMLMap, fallback: Place, depth: number): Map<string, MapEntry> => {
    const own = new Map<string, MapEntry>();
    const merged = new Map<string, MapEntry>();
    for (const pair of map.items as Pair<unknown, unknown>[]) {
      const key = rangeOf(pair.key, source) ?? fallback;
      const name = isScalar(pair.key) ? keyName(pair.key.value) : undefined;
      if (name === undefined) {
        problems.push({ place: key, message: 'a key must be plain text' });
        continue;
      }
      const node = convert(pair.value, key, depth + 1);
      if (name !== '<<') own.set(name, { key, node });
      else {
        for (const part of node.kind === 'list' ? node.items : [node])
          if (part.kind === 'map') for (const [k, entry] of part.entries) if (!merged.has(k)) merged.set(k, entry);
      }
    }
    for (const [name, entry] of merged) if (!own.has(name)) own.set(name, entry);
    return own;
  };

  return convert(document.contents, whole, 0);
}

/** The library reads a merge key as a symbol. */
function keyName(value: unknown): string {
  return typeof value === 'symbol' ? '<<' : String(value ?? '');
}

function rangeOf(node: unknown, source: Source): Place | undefined {
  const range = (node as Node | null | undefined)?.range;
  return range ? { source, start: range[0], end: Math.max(range[1], range[0]) } : undefined;
}

function explainSyntax(code: string, message: string, place: Place): string {
  if (code === 'DUPLICATE_KEY') return 'this key occurs twice in the same map';
  if (code === 'MULTIPLE_DOCS') return 'expected one YAML document; this starts a second one';
  if (code === 'TAB_AS_INDENT') return 'a tab cannot indent YAML; use spaces';
  const { text } = place.source;
  if (text.slice(place.start - 1, place.start + 1) === '${' || text.slice(place.start, place.start + 2) === '${')
    return 'a value with a variable cannot stand unquoted inside {…} or […]; write it on a line of its own';
  const first = message.split('\n')[0] ?? message;
  return `not valid YAML: ${first.charAt(0).toLowerCase()}${first.slice(1)}`;
}
