import { DynamoError } from '../base/errors.ts';
import type { DeploymentSnapshot } from '../deployment/snapshot.ts';
import type { LaunchPlan } from '../plan/launch-plan.ts';
import { renderTable } from './table.ts';

/** How clients reach a deployment: what `dynamo open --json` prints. */
export interface Access {
  schemaVersion: 1;
  name: string;
  state: DeploymentSnapshot['state'];
  models: string[];
  /** `null`: no key is asked for. */
  authentication: null;
  frontends: FrontendAccess[];
}

export interface FrontendAccess {
  name: string;
  state: string;
  /** Base address: for this machine where the frontend listens on loopback or on all addresses. */
  url: string;
  /** What OpenAI clients take as `base_url`. */
  apiUrl: string;
  /** Address it listens on: a loopback address is reached from its own machine only. */
  listensOn: string;
  localOnly: boolean;
}

/** Pure. Throws `NO_DEPLOYMENT` for one that is not up. */
export function describeAccess(snapshot: DeploymentSnapshot, plan: LaunchPlan): Access {
  if (snapshot.state === 'stopped' || snapshot.state === 'failed')
    throw new DynamoError('NO_DEPLOYMENT', `${snapshot.name} is ${snapshot.state}`, {
      hint: `Start it again: dynamo serve ${snapshot.recipe}`,
    });
  const frontends = snapshot.processes.filter((process) => process.role === 'frontend');
  return {
    schemaVersion: 1,
    name: snapshot.name,
    state: snapshot.state,
    models: snapshot.models,
    authentication: null,
    frontends: frontends.map(({ name, state, url }) => {
      const argv = plan.processes.find((spec) => spec.name === name)?.argv ?? [];
      const listensOn = argv[argv.indexOf('--http-host') + 1] ?? new URL(url).hostname;
      return { name, state, url, apiUrl: `${url}/v1`, listensOn, localOnly: isLoopback(listensOn) };
    }),
  };
}

const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || address.startsWith('127.');

/** The same for people. Pure. */
export function renderAccess(access: Access): string {
  const [first] = access.frontends;
  const model = access.models[0] ?? 'MODEL';
  const lines = [`${access.name} is ${access.state}`, ''];
  lines.push(...renderTable(['FRONTEND', 'STATE', 'OPENAI API', 'LISTENS ON'], rowsOf(access)), '');
  lines.push(`models  ${access.models.join(', ')}`);
  lines.push('key     none is asked for; where a client insists on one, any text does');
  if (first === undefined) return `${lines.join('\n')}\n`;
  lines.push(`reach   ${reachText(access)}`);
  const body = `{"model":"${model}","messages":[{"role":"user","content":"Hello"}],"max_tokens":32,"stream":true}`;
  lines.push(
    '',
    'Try it:',
    `  dynamo chat ${access.name} "Hello"`,
    `  curl ${first.apiUrl}/models`,
    `  curl -N ${first.apiUrl}/chat/completions -H 'content-type: application/json' \\`,
    `    -d '${body}'`,
    '',
    'For OpenAI clients:',
    `  export OPENAI_BASE_URL=${first.apiUrl} OPENAI_API_KEY=none`,
    '',
    `Health: ${first.url}/health, metrics: ${first.url}/metrics`,
  );
  return `${lines.join('\n')}\n`;
}

const rowsOf = ({ frontends }: Access): string[][] =>
  frontends.map(({ name, state, apiUrl, listensOn }) => [name, state, apiUrl, listensOn]);

function reachText({ frontends }: Access): string {
  if (!frontends.every((frontend) => frontend.localOnly))
    return 'from wherever the network leads to it: put something that asks for a key before it';
  const { port } = new URL(frontends[0]!.url);
  return `from its own machine only; from elsewhere ssh -L ${port}:127.0.0.1:${port} HOST,\n        or frontend.host: 0.0.0.0 in the recipe`;
}
