import type { WorkerNetwork } from '../engines/worker.ts';
import type { HostFacts, RdmaFacts } from '../hosts/host-facts.ts';

/** From nearest to farthest, as `nvidia-smi topo -m` calls them. Beyond a NUMA node no device is near. */
const NEAR = ['PIX', 'PXB', 'PHB', 'NODE'];
/** Names of RDMA devices, for facts that know of none. */
const RDMA_NAME = /^(mlx\d+_\d+|bnxt_re\d+|irdma\d+|rocep\S+|ibp\S+|efa\S*|rdmap\S+|qedr\d+|hns_\d+)$/;

/** What the facts of a host and the devices its hosts file allows (`nics`) mean for a worker on these of its GPUs. Pure. */
export function workerNetwork(
  facts: HostFacts,
  nics: readonly string[] | undefined,
  gpus: readonly number[],
): WorkerNetwork {
  const own = facts.nics?.find((nic) => nic.addresses.some(({ address }) => address === facts.address));
  return {
    allowed: nics === undefined ? null : allowedDevices(facts, nics),
    dataInterface: own?.name ?? null,
    nearest: nearestPorts(facts, nics, gpus),
  };
}

function allowedDevices(facts: HostFacts, nics: readonly string[]): NonNullable<WorkerNetwork['allowed']> {
  const ports = (facts.rdma ?? []).filter((port) => isNamed(port, nics));
  const devices = new Set(facts.rdma?.map((port) => port.device));
  // Facts that were written by hand may know no devices: names then have to tell.
  const unknown = facts.rdma === undefined ? nics.filter((name) => RDMA_NAME.test(name)) : [];
  const up = ports.filter((port) => port.state === 'active');
  return {
    rdma: [...up.map(portName), ...unknown.map((name) => `${name}:1`)],
    interfaces: nics.filter(
      (name) =>
        !devices.has(name) &&
        !unknown.includes(name) &&
        (facts.nics === undefined || facts.nics.some((nic) => nic.name === name)),
    ),
    down: ports.filter((port) => port.state !== 'active').map(portName),
  };
}

/**
 * Told, never set: NIXL's UCX chooses by the same distance (`MAX_HCA_PER_GPU=auto`), while a list of the near ones alone would cut off
 * peers whose near devices are on another rail of the network.
 */
function nearestPorts(facts: HostFacts, nics: readonly string[] | undefined, gpus: readonly number[]): string[] {
  const rows = gpus.map((index) => facts.gpus.findIndex((gpu) => gpu.index === index));
  const ports = (facts.rdma ?? [])
    .filter((port) => port.state === 'active' && (nics === undefined || isNamed(port, nics)))
    .map((port) => ({ port, way: wayTo(facts, port, rows) }))
    .filter(({ way }) => way >= 0);
  const best = Math.min(...ports.map(({ way }) => way));
  return ports.filter(({ way }) => way === best).map(({ port, way }) => `${portName(port)} (${NEAR[way]})`);
}

/** Index into `NEAR` of the best way from any of the GPUs; -1 for none that is near. */
function wayTo(facts: HostFacts, port: RdmaFacts, rows: readonly number[]): number {
  const ways = rows.map((row) => {
    const path = port.gpuPaths?.[row];
    if (path !== undefined) return NEAR.indexOf(path);
    const node = facts.gpus[row]?.numaNode ?? null;
    return node !== null && node === port.numaNode ? NEAR.indexOf('NODE') : -1;
  });
  const near = ways.filter((way) => way >= 0);
  return near.length === 0 ? -1 : Math.min(...near);
}

const isNamed = (port: RdmaFacts, nics: readonly string[]): boolean =>
  nics.includes(port.device) || (port.netdev !== null && nics.includes(port.netdev));

const portName = ({ device, port }: RdmaFacts): string => `${device}:${port}`;
