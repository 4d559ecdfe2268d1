const UNIT = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
} as const;

/** Parses `64GiB`, `1.5 GB`, `512`. Returns bytes, `undefined` if it is none. */
export function parseBytes(text: string | number): number | undefined {
  if (typeof text === 'number') return text >= 0 ? text : undefined;
  const match = /^(\d+(?:\.\d+)?)\s*(B|[KMGT]i?B)?$/.exec(text.trim());
  if (!match?.[1]) return undefined;
  return Number(match[1]) * UNIT[(match[2] ?? 'B') as keyof typeof UNIT];
}

/** `1.5 GiB`, `320 MiB`, `12 B`: for people. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  let value = bytes;
  let unit = 0;
  while (Math.round(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
