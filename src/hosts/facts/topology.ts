/** What `nvidia-smi topo -m` says of ways between devices. */
export interface Topology {
  /** Index of each GPU that has a row, in order. */
  gpus: number[];
  /** Ways between GPUs, by row and column of `gpus`: `X`, `NV18`, `PIX`, `PXB`, `PHB`, `NODE`, `SYS`. */
  paths: string[][];
  /** RDMA devices with their way to each of `gpus`. */
  nics: { device: string; paths: string[] }[];
}

// nvidia-smi underlines the head.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
const ESCAPES = /\u001b\[[0-9;]*m/g;
const WAY = /^(X|NV\d+|PIX|PXB|PHB|NODE|SYS)$/;
const NIC_HEAD = /^(NIC\d+|mlx\d+_\d+|bnxt_re\d+|irdma\d+|rocep\S+|ibp\S+|efa\S*|rdmap\S+|ib\d+)$/;

/**
 * Reads the matrix: a head with `GPU0 … NIC0 … CPU Affinity NUMA Affinity`, a row a device, then legends, of which
 * `NIC0: mlx5_0` gives the names. Older drivers write device names in the head and underline it. `undefined` when there is none.
 * Cells are counted, not aligned: widths and separators (tabs, blanks) differ between versions.
 */
export function parseTopology(text: string): Topology | undefined {
  const lines = text.replaceAll(ESCAPES, '').split('\n');
  const headAt = lines.findIndex((line) => /^\s*GPU\d+(\s|$)/.test(line) && !/\sX(\s|$)/.test(line));
  if (headAt < 0) return undefined;
  const head = (lines[headAt] ?? '').trim().split(/\s+/);
  const devices = head.slice(0, head.findLastIndex((word) => isGpu(word) || NIC_HEAD.test(word)) + 1);
  const rows = new Map<string, string[]>();
  for (const line of lines.slice(headAt + 1)) {
    const [name, ...cells] = line.trim().split(/\s+/);
    if (name === undefined || !devices.includes(name) || rows.has(name)) continue;
    const ways = cells.slice(0, devices.length);
    // A row that is cut or glued together (seen where a terminal wrapped it) says nothing reliable.
    if (ways.length === devices.length && ways.every((way) => WAY.test(way))) rows.set(name, ways);
  }
  const gpuNames = devices.filter((device) => isGpu(device) && rows.has(device));
  if (gpuNames.length === 0) return undefined;
  const way = (from: string, to: string) => rows.get(from)![devices.indexOf(to)]!;
  const names = nicNames(lines);
  const nics = devices.filter((device) => !isGpu(device));
  return {
    gpus: gpuNames.map((name) => Number(name.slice(3))),
    paths: gpuNames.map((from) => gpuNames.map((to) => way(from, to))),
    nics: nics.map((nic) => ({ device: names.get(nic) ?? nic, paths: gpuNames.map((gpu) => way(gpu, nic)) })),
  };
}

/** NVLinks a way consists of; 0 for any other. */
export function nvlinksOf(way: string): number {
  return Number(/^NV(\d+)$/.exec(way)?.[1] ?? 0);
}

const isGpu = (word: string): boolean => /^GPU\d+$/.test(word);

function nicNames(lines: readonly string[]): Map<string, string> {
  return new Map(
    lines.flatMap((line) => {
      const [, nic, device] = /^\s*(NIC\d+):\s*(\S+)\s*$/.exec(line) ?? [];
      return nic !== undefined && device !== undefined ? [[nic, device] as const] : [];
    }),
  );
}
