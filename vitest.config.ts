import { defineConfig } from 'vitest/config';

/** Tests over several hosts. */
const HOSTS = ['test/integration/hosts/**/*.test.ts', 'test/e2e/hosts*.test.ts'];

/** A kill at every step, every row of the unattended matrix, every output of docs/operations.md: minutes of starts and stops. */
const MATRIX = [
  'test/integration/supervise/sigkill-matrix.test.ts',
  'test/e2e/operations-page.test.ts',
  'test/e2e/rolling.test.ts',
  'test/e2e/scale.test.ts',
  'test/e2e/unattended-matrix.test.ts',
];

/** `unit` is pure and fast; the others own real processes and sockets, so their files run one after another. */
export default defineConfig({
  test: {
    slowTestThreshold: 3_000,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.{ts,tsx}'], pool: 'threads', testTimeout: 30_000 } },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: [...HOSTS, ...MATRIX],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: [...HOSTS, ...MATRIX],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        // `npm run test:matrix`.
        test: {
          name: 'matrix',
          include: MATRIX,
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Machines of their own, made of namespaces, with a real sshd each: `npm run test:hosts`.
        test: {
          name: 'hosts',
          include: HOSTS,
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Real engines; only `npm run test:engines` prepares what these need.
        test: {
          name: 'engines',
          include: ['test/engines/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
