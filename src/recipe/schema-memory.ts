import { z } from 'zod';
import { byteSize } from '../yaml/schema-values.ts';

/** Where weights come from and where KV blocks go when the GPU is full. */

export const LOADERS = [
  'default',
  'runai_streamer',
  'fastsafetensors',
  'sharded_state',
  'modelexpress',
  'remote_instance',
] as const;

export const kvOffload = z
  .strictObject({
    cpu: byteSize.optional().describe('Host memory of each worker, over all its GPUs: `64GiB`.'),
    disk: z
      .strictObject({
        path: z.string().min(1).describe('Folder on a fast local disk.'),
        size: byteSize.optional().describe('Most it may hold, where the engine can limit it.'),
      })
      .optional()
      .describe('Files behind the host memory.'),
    remote: z
      .strictObject({
        backend: z
          .enum(['lmcache', 'mooncake'])
          .describe('`lmcache`: a server that LMCache within vLLM talks to; `mooncake`: a Mooncake store for SGLang.'),
        url: z.string().min(1).describe('Where it is: `lm://cache-host:65432`, or the address of the Mooncake master.'),
      })
      .optional()
      .describe('A store that workers share over the network.'),
  })
  .meta({
    id: 'KvOffload',
    description:
      'Memory tiers that keep KV blocks which no longer fit on the GPU: prompts seen before need not be read again.',
  });

const loader = z.enum(LOADERS);

export const load = z
  .union(
    [
      loader,
      z.strictObject({
        loader: loader.prefault('default').describe("The engine's loader."),
        settings: z
          .record(z.string(), z.unknown())
          .prefault({})
          .describe("The loader's own settings, passed on as they are: `{ concurrency: 16 }`."),
        compileCache: z
          .string()
          .min(1)
          .optional()
          .describe(
            "Folder for compiled kernels and graphs, shared between workers and restarts. Default: the engine's own below the home folder.",
          ),
      }),
    ],
    { error: `expected a loader (${LOADERS.join(', ')}), or a map with loader, settings and compileCache` },
  )
  .meta({ id: 'Load', description: 'How weights get onto the GPU: the name of a loader alone, or with its settings.' });
