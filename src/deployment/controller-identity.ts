import path from 'node:path';
import { readJsonFile, writeFileAtomic } from '../base/atomic-file.ts';
import { ownIdentity, type ProcessIdentity, parseIdentity } from '../supervise/identity.ts';

const file = (dir: string) => path.join(dir, 'controller.json');

/** Leaves this process's identity for whoever must tell whether its controller lives. */
export function writeControllerIdentity(dir: string): void {
  writeFileAtomic(file(dir), JSON.stringify(ownIdentity('controller')), { durable: false });
}

export function readControllerIdentity(dir: string): ProcessIdentity | undefined {
  return parseIdentity(readJsonFile(file(dir)));
}
