import { keySection, schemaSections } from '../yaml/schema-docs.ts';
import { recipeJsonSchema } from './json-schema.ts';

const INTRO = `# The recipe

<!-- Generated from src/recipe/schema.ts by \`npm run docs\`. Do not edit. -->

A recipe is one YAML (or JSON) file: models, workers, frontend. \`dynamo recipe list\` names the ones that come with dynamo,
\`dynamo recipe validate FILE\` names every problem at once, \`dynamo plan FILE\` prints what a recipe becomes,
\`dynamo recipe schema\` prints the JSON schema for editors.

\`\`\`yaml
name: quickstart
model: mock-model
engine: mocker
frontend: { port: 8000 }
workers:
  prefill: { replicas: 2 }
  decode: { replicas: 2 }
\`\`\`

How a recipe is read, in this order:

1. \`base: other.yaml\` (relative to the file) is read first. Maps are merged key by key, everything else is replaced, and
   \`null\` removes an inherited key.
2. \`--set path=value\` overrides, in the order given. The value is YAML; the path has dots and list indices:
   \`--set workers.decode.replicas=4\`, \`--set models[0].engine=mocker\`. A key with a dot in it stands in double quotes.
   \`null\` removes a key. What a path names need not exist yet.
3. \`\${NAME}\` and \`\${NAME:-default}\` in values become environment variables; \`$\${\` is a literal \`\${\`. An unquoted value is
   read again afterwards, so \`port: \${PORT}\` is a number. An unset variable without a default is an error.
   Inside \`{…}\` YAML takes such a value only in quotes; write it on a line of its own.
4. A relative path (\`model: ./weights\`, \`fromFile: token\`) is relative to the file it stands in.

Secrets are named, never written: \`env: { HF_TOKEN: { fromEnv: HF_TOKEN } }\`. Unknown keys are errors, except keys at the
top that begin with \`x-\`: those are yours, for instance to hold YAML anchors.
`;

const ENGINES = `## Engines

\`args\` are the engine's own long flags. Dynamo adds those that the deployment needs (\`dynamo plan\` shows them with reasons)
and refuses them in a recipe. Before anything starts, all flags are compared with the help of the installed engine, which
is asked once for each installation; unknown ones are errors with the nearest name.

| Engine | Program | Prefill and decode | Notes |
|---|---|---|---|
| \`mocker\` | built in | yes | simulated, needs no GPU |
| \`vllm\` | \`vllm serve\` | yes, NIXL | \`gpus: 0\` runs on the CPU |
| \`sglang\` | \`sglang serve\` | yes, NIXL, both legs at once | page size 64 unless \`page-size\` says otherwise |
| \`trtllm\` | \`trtllm-serve\` | yes, NIXL, context first | \`extra-llm-api-options\` is a map; dynamo writes the file |
| \`llamacpp\` | \`llama-server\` | no | on the CPU unless \`gpus\` says otherwise |
| \`openai\` | none: \`url\` | no | a server that somebody else runs; plain HTTP, no key, API at /v1 |

Settings that are known not to work together are refused, and those that fail only sometimes are warned of; both
messages give a name, which \`allow: [name]\` accepts.
`;

const MODEL_CHECKS = `## The model's own configuration

Where the model can be read on this machine, as a folder or as a copy in the hub's cache (\`HF_HUB_CACHE\`, \`HF_HOME\`), the recipe is
checked against its \`config.json\` before anything starts, also by \`dynamo recipe validate\`. Nothing is asked of the network: what is
not here is not checked.

| Checked | Refused |
|---|---|
| the folder | missing (when this machine runs it), unreadable, without \`config.json\`, tokenizer or weights; for \`llamacpp\`: not one file |
| tensor-parallel size | it does not divide the attention heads; it neither divides the KV heads nor is a multiple of them |
| pipeline-parallel size | more stages than layers |
| \`max-model-len\`, \`context-length\`, \`max-seq-len\` | longer than the model takes, unless \`hf-overrides\` or the engine's own variable say so |
| \`dtype\` and the like of prefill and decode workers | unequal; \`auto\` is what the model says |

Sliding windows, chunks and state-space layers are recognised there too, whatever the model is called: frontends then watch the decode
workers' failed transfers.
`;

const HOSTS = `## Several hosts

\`--hosts\` or \`hosts:\` names them ([hosts.md](hosts.md)). \`dynamo plan\` says where each worker goes and why:

- All GPUs of a worker are on one host and of one type; neighbours first, those that NVLink or a NUMA node joins before others.
- The prefill and decode workers of a model are together on one host where they all fit: KV blocks then never leave it.
- Otherwise replicas are spread, so that a lost host takes few of a group and each host has both roles; where that leaves holes too
  small for the last worker, hosts are filled one after the other instead.
- Workers that want most GPUs choose first, then those that ask for a \`gpuType\` or a \`placement\`.
- \`nodes: 2\` makes one worker of two hosts (\`vllm\`, \`sglang\`; \`mocker\` to try it): GPUs of one type, as many on each, in one \`rack\` where the label
  says so, the same ports on both. The leader serves; \`NAME-node1\`, … compute for it, are ready when it is, and start, end and restart
  with it. With vLLM's \`data-parallel-size\` the ranks are shared out over the hosts (wide EP), else the tensor- and pipeline-parallel
  ones.
- Frontends are on the first host and listen on the address by which the hosts reach each other; \`frontend.placement\` spreads them.
- Too few GPUs, or one host too few: nothing starts, and the error lists what every host has.
`;

const FACTS = `## Planning for other machines

\`dynamo plan RECIPE --facts FILE\` plans for the machine that a JSON file describes; several files are several hosts, each with its
own \`name\` and \`address\`. \`dynamo hosts show HOST --json\` writes such a file.

\`\`\`json
{
  "gpus": [
    { "index": 0, "name": "NVIDIA H100 80GB HBM3", "memoryBytes": 85520809984 },
    { "index": 1, "name": "NVIDIA H100 80GB HBM3", "memoryBytes": 85520809984 }
  ],
  "listeningPorts": [22, 8000],
  "ephemeralPorts": { "first": 32768, "last": 60999 },
  "commands": { "vllm": "/opt/vllm/bin/vllm" }
}
\`\`\`

Every key may be left out; \`dynamo hosts show HOST --json\` writes such a file. Further ones that planning looks at: \`name\`, \`address\`, \`labels\`, \`nvlink\` (links between each two
GPUs), and for a GPU \`numaNode\`, \`uuid\` and \`memoryUsedBytes\`.
`;

/** docs/recipe.md. */
export function recipeDocs(): string {
  const schema = recipeJsonSchema();
  const { sections, values } = schemaSections(schema);
  return [
    INTRO,
    keySection('Top level', schema, schema),
    ...sections,
    ENGINES,
    MODEL_CHECKS,
    HOSTS,
    '## Kinds of values\n',
    ...values,
    FACTS,
  ].join('\n');
}
