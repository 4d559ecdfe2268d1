const TICKS = 10;

/**
 * Calls `onOver` once `timeoutMs` have passed for this process, unless it is disposed before. They are counted in ticks: time in which
 * the process stood still counts as one, so that it blames nobody for answers that it has not read.
 */
export function patience(timeoutMs: number, onOver: () => void): Disposable {
  let left = TICKS;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    onOver();
  }, timeoutMs / TICKS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
