import type { InstanceRecord } from './discovery.ts';
import { parseInstance, type StoredInstance } from './record-codec.ts';
import { formatRecordKey, parseRecordKey } from './record-key.ts';
import { type RecordStore, UnreadableRecordError } from './record-store.ts';
import type { Observation, Sighting } from './watch-state.ts';

/** What was found in the store, and the texts of the tombstones: they tell one tombstone from a later one under the same key. */
export interface Survey {
  observation: Observation;
  unreadable: { key: string; reason: string }[];
  tombstones: Map<string, string>;
}

/** Reads at the same time from one store; more only queue in the thread pool. */
const PARALLEL_READS = 8;

/** Reads everything of `deployment` in the store. */
export async function surveyAll(store: RecordStore, deployment: string): Promise<Survey> {
  const everything = await store.readAll?.();
  const survey = new SurveyBuilder(everything ? readFrom(everything) : (key) => store.read(key), deployment);
  const keys = everything ? [...everything.keys()] : await store.keys();
  for (const key of keys) {
    if (!parseRecordKey(key)) survey.unreadable.push({ key, reason: 'its name is not that of a discovery record' });
  }
  const missing = await survey.look(keys);
  // Removed between listing and reading: its tombstone may have come too late for the listing.
  if (missing.length > 0 && !everything) await survey.look(missing.flatMap(pairOf));
  return survey.result(true);
}

/** Reads the records and tombstones that the given keys belong to, and nothing else. */
export async function surveyKeys(store: RecordStore, deployment: string, keys: Iterable<string>): Promise<Survey> {
  const survey = new SurveyBuilder((key) => store.read(key), deployment);
  await survey.look([...new Set([...keys].flatMap(pairOf))]);
  return survey.result(false);
}

/** Reads one stored instance; `undefined` when there is none or it cannot be read. */
export async function readStored(store: RecordStore, key: string): Promise<StoredInstance | undefined> {
  try {
    const text = await store.read(key);
    const parsed = text === undefined ? undefined : parseInstance(text);
    return typeof parsed === 'string' ? undefined : parsed;
  } catch (error) {
    if (error instanceof UnreadableRecordError) return undefined;
    throw error;
  }
}

type Read = RecordStore['read'];

function readFrom(everything: ReadonlyMap<string, string | UnreadableRecordError>): Read {
  return async (key) => {
    const text = everything.get(key);
    if (text instanceof UnreadableRecordError) throw text;
    return text;
  };
}

class SurveyBuilder {
  readonly unreadable: { key: string; reason: string }[] = [];
  readonly #read: Read;
  readonly #deployment: string;
  readonly #sightings = new Map<string, Sighting>();
  readonly #tombstones = new Map<string, string>();

  constructor(read: Read, deployment: string) {
    this.#read = read;
    this.#deployment = deployment;
  }

  /** Reads instance records before tombstones, since a withdrawal writes in the other order. Returns keys that were not there. */
  async look(keys: string[]): Promise<string[]> {
    const missing: string[] = [];
    for (const prefix of ['instance.', 'tombstone.']) {
      const queue = keys.filter((key) => key.startsWith(prefix) && parseRecordKey(key)).values();
      const lane = async () => {
        for (const key of queue) if (!(await this.#lookAt(key))) missing.push(key);
      };
      await Promise.all(Array.from({ length: PARALLEL_READS }, lane));
    }
    return missing;
  }

  result(complete: boolean): Survey {
    return {
      observation: { complete, sightings: [...this.#sightings.values()] },
      unreadable: this.unreadable,
      tombstones: this.#tombstones,
    };
  }

  async #lookAt(key: string): Promise<boolean> {
    const parsed = parseRecordKey(key);
    if (!parsed || parsed.kind === 'commit') return true;
    const id = `${parsed.generation} ${parsed.name}`;
    const sighting = this.#sightings.get(id) ?? {
      name: parsed.name,
      generation: parsed.generation,
      record: null,
      tombstone: false,
    };
    this.#sightings.set(id, sighting);
    let text: string | undefined;
    try {
      text = await this.#read(key);
    } catch (error) {
      if (!(error instanceof UnreadableRecordError)) throw error;
      this.unreadable.push({ key, reason: error.message });
      if (parsed.kind === 'instance') sighting.record = 'unreadable';
      return true;
    }
    if (parsed.kind === 'tombstone') {
      sighting.tombstone = text !== undefined;
      if (text !== undefined) this.#tombstones.set(key, text);
    } else {
      sighting.record = text === undefined ? null : this.#parse(key, text, parsed.name, parsed.generation);
    }
    return text !== undefined;
  }

  #parse(key: string, text: string, name: string, generation: number): InstanceRecord | 'unreadable' {
    const stored = parseInstance(text);
    const reason = typeof stored === 'string' ? stored : this.#mismatch(stored.record, name, generation);
    if (typeof stored !== 'string' && reason === undefined) return stored.record;
    this.unreadable.push({ key, reason: reason ?? 'unknown' });
    return 'unreadable';
  }

  #mismatch(record: InstanceRecord, name: string, generation: number): string | undefined {
    if (record.deployment !== this.#deployment) return `it belongs to deployment ${JSON.stringify(record.deployment)}`;
    if (record.name !== name || record.generation !== generation) return 'it belongs to another key';
    return undefined;
  }
}

function pairOf(key: string): string[] {
  const parsed = parseRecordKey(key);
  if (!parsed || parsed.kind === 'commit') return [];
  const { name, generation } = parsed;
  return [
    formatRecordKey({ kind: 'instance', name, generation }),
    formatRecordKey({ kind: 'tombstone', name, generation }),
  ];
}
