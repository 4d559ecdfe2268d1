/** A seeded source of random numbers: the same seed and stream give the same numbers on every machine. */
export interface Random {
  /** Uniform in [0, 2^32). */
  uint32(): number;
  /** Uniform in [0, 1). */
  float(): number;
}

/**
 * sfc32 (Chris Doty-Humphrey's PractRand), seeded through splitmix32.
 * `streams` separate independent sequences of one seed, such as arrivals, lengths and the text of block 17.
 */
export function createRandom(seed: number, ...streams: readonly number[]): Random {
  let mix = seed >>> 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  for (const stream of [Math.floor(seed / 2 ** 32), ...streams]) {
    mix = (splitmix() ^ (stream >>> 0)) | 0;
    mix = (splitmix() ^ Math.floor(stream / 2 ** 32)) | 0;
  }
  let a = splitmix() | 0;
  let b = splitmix() | 0;
  let c = splitmix() | 0;
  let counter = 1;
  const uint32 = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let warm = 0; warm < 12; warm += 1) uint32();
  return { uint32, float: () => uint32() / 2 ** 32 };
}

/** One exponential draw with the given mean: the gap between two arrivals of a Poisson process. */
export function drawExponential(random: Random, mean: number): number {
  return -Math.log1p(-random.float()) * mean;
}

/** One normal draw (Box–Muller). */
export function drawNormal(random: Random, mean: number, deviation: number): number {
  if (deviation === 0) return mean;
  const radius = Math.sqrt(-2 * Math.log1p(-random.float()));
  return mean + deviation * radius * Math.cos(2 * Math.PI * random.float());
}
