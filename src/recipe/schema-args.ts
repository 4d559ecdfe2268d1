import { z } from 'zod';

export const engineArg = z
  .union([
    z.string(),
    z.number(),
    z.boolean(),
    z.null(),
    z.array(z.union([z.string(), z.number()])),
    z.record(z.string(), z.unknown()),
  ])
  .meta({
    id: 'EngineArg',
    description:
      'Value of a flag. `true` gives the bare flag, `false` its `--no-` form (nothing for engines without such forms: sglang, trtllm), `null` leaves it out, a list gives several values, a map is passed as JSON.',
  });

export const engineArgs = z
  .record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]*$/, {
      error: 'expected a long flag of the engine without its dashes, such as max-model-len',
    }),
    engineArg,
  )
  .meta({ id: 'EngineArgs', description: "The engine's own long flags, without the dashes." });
