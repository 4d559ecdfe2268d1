/** Versions an adapter was written for. */
export interface KnownVersions {
  /** An older one is refused; null where nobody knows from when on it works. */
  oldest: { version: string; because: string } | null;
  newest: string;
}

/** Negative when `a` is older. Numbers only: `0.32.0+cpu`, `0.29.0rc1` and `0.29.0` count as what their numbers say. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What is to be said of an installed version. Pure. */
export function judgeVersion(
  installed: string,
  known: KnownVersions,
): { verdict: 'fits' } | { verdict: 'old' | 'new'; text: string } {
  const { oldest, newest } = known;
  if (oldest && compareVersions(installed, oldest.version) < 0) {
    return {
      verdict: 'old',
      text: `${installed} is too old: dynamo needs ${oldest.version} or newer for ${oldest.because}`,
    };
  }
  // A patch of the newest minor version is nothing new.
  const minor = (version: string) => numbersOf(version).slice(0, 2).join('.');
  if (compareVersions(minor(installed), minor(newest)) > 0) {
    return { verdict: 'new', text: `${installed} is newer than ${newest}, the newest that dynamo was written for` };
  }
  return { verdict: 'fits' };
}

function numbersOf(version: string): number[] {
  return (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
}
