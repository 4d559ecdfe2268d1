import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot, packageVersion } from '../base/package-root.ts';
import { PROTOCOL_VERSION } from '../supervise/protocol.ts';

/** What `dynamo version --json` prints. */
export interface VersionFacts {
  schemaVersion: 1;
  version: string;
  /** Commit the build was made from; null where that is not known. */
  commit: string | null;
  /** Version that client, controller and agents must share. */
  protocol: number;
  node: string;
  /** `linux-x64`. */
  platform: string;
  /** Kernel and its release. */
  kernel: string;
  /** Folder dynamo runs from. */
  root: string;
}

export function describeVersion(): VersionFacts {
  return {
    schemaVersion: 1,
    version: packageVersion(),
    commit: readCommit(path.join(packageRoot, 'dist', 'commit')),
    protocol: PROTOCOL_VERSION,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    kernel: `${os.type()} ${os.release()}`,
    root: packageRoot,
  };
}

/** Left by the build. */
function readCommit(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim() || null;
  } catch {
    return null;
  }
}

/** Pure. */
export function renderVersion(facts: VersionFacts): string {
  return [
    `dynamo ${facts.version}${facts.commit === null ? '' : ` (${facts.commit})`}`,
    `  protocol  ${facts.protocol}`,
    `  node      ${facts.node}`,
    `  platform  ${facts.platform}, ${facts.kernel}`,
    `  from      ${facts.root}`,
    '',
  ].join('\n');
}
