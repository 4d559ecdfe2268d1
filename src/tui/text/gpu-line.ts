import { formatBytes } from '../../base/bytes.ts';
import type { GpuUse } from '../../hosts/gpu-use.ts';
import type { Glyphs } from './glyphs.ts';

/**
 * The GPUs of a host in one line of at most `width` columns: a bar each, then what they use together. Parts that do not fit are left
 * out, the least telling first.
 */
export function gpuLine(gpus: readonly GpuUse[], width: number, glyphs: Glyphs): string {
  const bars = [...glyphs.bars];
  const drawn = gpus.map(({ utilisation: use }) =>
    use === null ? '?' : bars[Math.min(bars.length - 1, Math.floor((use / 100) * bars.length))],
  );
  const uses = known(gpus, 'utilisation');
  const used = sum(known(gpus, 'memoryUsedBytes'));
  const all = sum(known(gpus, 'memoryBytes'));
  const power = sum(known(gpus, 'powerW'));
  const hottest = Math.max(...known(gpus, 'temperatureC'));
  const degree = glyphs.ellipsis === '…' ? '°C' : 'C';
  const parts = [
    `${gpus.length} GPU${gpus.length === 1 ? '' : 's'} ${drawn.join('')}`,
    ...(uses.length > 0 ? [`${Math.round(sum(uses) / uses.length)} %`] : []),
    ...(all > 0 ? [`${formatBytes(used)} of ${formatBytes(all)}`] : []),
    ...(power > 0 ? [power >= 1_000 ? `${(power / 1_000).toFixed(1)} kW` : `${Math.round(power)} W`] : []),
    ...(Number.isFinite(hottest) ? [`${Math.round(hottest)} ${degree}`] : []),
  ];
  while (parts.length > 1 && parts.join('  ').length > width) parts.pop();
  return parts.join('  ');
}

function known(
  gpus: readonly GpuUse[],
  key: 'utilisation' | 'memoryUsedBytes' | 'memoryBytes' | 'powerW' | 'temperatureC',
) {
  return gpus.flatMap((gpu) => gpu[key] ?? []);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
