import { DynamoError } from '../base/errors.ts';

/** Where requests go. */
export interface Target {
  /** As shown in reports: no credentials, no trailing slash. */
  url: string;
  host: string;
  port: number;
  secure: boolean;
  /** Path before `/v1`, without a trailing slash; usually empty. */
  basePath: string;
}

/** Reads a base URL; a trailing `/v1` is accepted. Throws `USAGE`. */
export function parseTarget(text: string): Target {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    throw new DynamoError('USAGE', `${text} is not a URL`, { cause: error });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new DynamoError('USAGE', `${text}: only http:// and https:// are supported`);
  const secure = url.protocol === 'https:';
  const basePath = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  return {
    url: `${url.origin}${basePath}`,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    secure,
    basePath,
  };
}
