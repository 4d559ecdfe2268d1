import { ask } from './deployment-sandbox.ts';

/** Requests one after the other on a few lines; `end` resolves with what went wrong. */
export function steadyLoad(endpoint: string, lines: number) {
  let stop = false;
  let answered = 0;
  const failed: string[] = [];
  const running = Array.from({ length: lines }, async () => {
    while (!stop) {
      await ask(endpoint, 'mock-model', 20).then(
        () => {
          answered += 1;
        },
        (error: Error) => failed.push(error.message),
      );
    }
  });
  return {
    answered: () => answered,
    async end(): Promise<string[]> {
      stop = true;
      await Promise.all(running);
      return failed;
    },
  };
}
