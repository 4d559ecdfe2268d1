import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../../base/atomic-file.ts';
import { makePrivateDir } from '../../deployment/state-dir.ts';
import { findCommand } from '../../hosts/find-command.ts';
import { listGpus } from '../../hosts/gpus.ts';
import { type CrashFacts, judgeCrash, renderCrashReport } from './crash-report.ts';
import { isTelling } from './kernel-lines.ts';

/** Reports kept of each process. */
const KEPT = 20;
/** A GPU that hangs makes nvidia-smi hang too. */
const LOOK_MS = 5_000;

/** Writes a report as `NAME-TIME.txt` and `.json`; an earlier one of the same time is replaced. Returns the path of the text. */
export function writeCrashReport(folder: string, facts: CrashFacts): string {
  makePrivateDir(folder);
  const base = path.join(folder, `${facts.spec.name}-${facts.at.replaceAll(/[-:]|\.\d+/g, '')}-${facts.incarnation}`);
  const { spec, ...rest } = facts;
  const { name, host, role, engine, model, argv, gpus } = spec;
  const json = {
    schemaVersion: 1,
    process: { name, host, role, engine, model, argv, gpus },
    ...judgeCrash(facts),
    ...rest,
  };
  writeFileAtomic(`${base}.json`, `${JSON.stringify(json, null, 2)}\n`);
  writeFileAtomic(`${base}.txt`, renderCrashReport(facts));
  prune(folder, facts.spec.name);
  return `${base}.txt`;
}

/** What GPUs and kernel say a moment after a crash: never fails, never takes long. */
export async function lookAtMachine(gpus: readonly number[]): Promise<Pick<CrashFacts, 'gpus' | 'kernelLines'>> {
  const [listed, kernelLines] = await Promise.all([gpus.length === 0 ? [] : listGpus(LOOK_MS), readKernelLines()]);
  return { gpus: gpus.length > 0 && listed.length === 0 ? null : listed, kernelLines };
}

/** Telling lines of the last minute; none where the kernel's log is not for everyone. */
async function readKernelLines(): Promise<string[]> {
  const program = findCommand('dmesg');
  if (program === undefined) return [];
  const { execa } = await import('execa');
  const result = await execa(program, ['--since', '1 minute ago', '--time-format', 'iso'], {
    reject: false,
    timeout: LOOK_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 1024 * 1024,
  });
  return result.failed ? [] : result.stdout.split('\n').filter(isTelling).slice(-20);
}

function prune(folder: string, process: string): void {
  const own = readdirSync(folder)
    .filter((file) => file.startsWith(process) && /^-\d{8}T\d{6}Z-\d+\.txt$/.test(file.slice(process.length)))
    .sort();
  for (const file of own.slice(0, -KEPT)) {
    rmSync(path.join(folder, file), { force: true });
    rmSync(path.join(folder, file.replace(/\.txt$/, '.json')), { force: true });
  }
}
