import type { LinkState } from '../../hosts/link-state.ts';

/** The links of a host in one line: `links: 8 RDMA up (400 Gb/s), 1 Ethernet up; mlx5_3 down`. Null without links. Pure. */
export function linkLine(links: readonly LinkState[]): string | null {
  if (links.length === 0) return null;
  const kinds = [
    ['rdma', 'RDMA'],
    ['ethernet', 'Ethernet'],
  ] as const;
  const up = kinds.flatMap(([kind, word]) => {
    const own = links.filter((link) => link.kind === kind && link.up);
    if (own.length === 0) return [];
    const rates = [...new Set(own.flatMap(({ rateGbps }) => rateGbps ?? []))];
    return [`${own.length} ${word} up${rates.length === 1 ? ` (${rates[0]} Gb/s)` : ''}`];
  });
  const down = links.filter((link) => !link.up).map(({ name, state }) => `${name} ${state || 'down'}`);
  return `links: ${[up.join(', '), down.join(', ')].filter((part) => part !== '').join('; ')}`;
}

/** Names of RDMA links that are not up: KV transfer would go slower ways. */
export const rdmaDown = (links: readonly LinkState[]): string[] =>
  links.filter(({ kind, up }) => kind === 'rdma' && !up).map(({ name }) => name);
