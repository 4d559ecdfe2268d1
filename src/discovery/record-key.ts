/** Keys of the records of one deployment. They are safe in file names, URLs and etcd keys, and can be read back. */
export type RecordKey =
  | { kind: 'instance'; name: string; generation: number }
  | { kind: 'tombstone'; name: string; generation: number }
  | { kind: 'commit'; generation: number; revision?: number };

/** `instance.prefill-0.3`, `tombstone.prefill-0.3`, `commit.1`, `commit.1.2` for the second change of what generation 1 runs. */
export function formatRecordKey(key: RecordKey): string {
  if (key.kind !== 'commit') return `${key.kind}.${encodeSegment(key.name)}.${key.generation}`;
  return key.revision ? `commit.${key.generation}.${key.revision}` : `commit.${key.generation}`;
}

/** The key a text stands for; `undefined` for anything `formatRecordKey` would not have written. */
export function parseRecordKey(text: string): RecordKey | undefined {
  const commit = /^commit\.(\d{1,16})\.(\d{1,16})$/.exec(text);
  if (commit) {
    const key = { kind: 'commit', generation: Number(commit[1]), revision: Number(commit[2]) } as const;
    return formatRecordKey(key) === text ? key : undefined;
  }
  const match = /^(?:(commit)|(instance|tombstone)\.([A-Za-z0-9_%-]+))\.(\d{1,16})$/.exec(text);
  if (!match) return undefined;
  const generation = Number(match[4]);
  const key: RecordKey | undefined = match[1]
    ? { kind: 'commit', generation }
    : keyOf(match[2] as 'instance' | 'tombstone', decodeSegment(match[3]!), generation);
  return key && formatRecordKey(key) === text ? key : undefined;
}

/** Percent-encodes everything but letters, digits, `_` and `-`, so that dots separate and no name means a folder. */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(
    /[.!~*'()]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decodeSegment(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function keyOf(kind: 'instance' | 'tombstone', name: string | undefined, generation: number): RecordKey | undefined {
  return name === undefined ? undefined : { kind, name, generation };
}
