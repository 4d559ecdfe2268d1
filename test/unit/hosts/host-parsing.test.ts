import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readFactsFile } from '../../../src/hosts/facts-file.ts';
import { findCommand } from '../../../src/hosts/find-command.ts';
import { parseGpuList } from '../../../src/hosts/gpus.ts';
import { parseSocketTable } from '../../../src/hosts/tcp-sockets.ts';

function tmp(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'dynamo-hosts-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('parseGpuList', () => {
  it('reads what nvidia-smi prints, and skips what is no GPU', () => {
    const text = `1, GPU-b, 81559, 4, NVIDIA H100 80GB HBM3
0, GPU-a, 81559, [N/A], NVIDIA H100 80GB HBM3
No devices were found
Failed to initialize NVML: Driver/library version mismatch
`;
    expect(parseGpuList(text)).toEqual([
      {
        index: 0,
        uuid: 'GPU-a',
        name: 'NVIDIA H100 80GB HBM3',
        memoryBytes: 81_559 * 1024 ** 2,
        memoryUsedBytes: null,
      },
      {
        index: 1,
        uuid: 'GPU-b',
        name: 'NVIDIA H100 80GB HBM3',
        memoryBytes: 81_559 * 1024 ** 2,
        memoryUsedBytes: 4 * 1024 ** 2,
      },
    ]);
    expect(parseGpuList('')).toEqual([]);
  });
});

describe('parseSocketTable', () => {
  it('takes listening sockets only, of both families', () => {
    const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
    const v4 =
      '   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n';
    const busy =
      '   1: 0100007F:1F41 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1\n';
    const v6 =
      '   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0 100 0 0 10 0\n';
    expect(parseSocketTable(header + v4 + busy)).toEqual([
      { address: '127.0.0.1', port: 8000, uid: 1000, inode: '4711' },
    ]);
    expect(parseSocketTable(header + v6)).toEqual([{ address: '::', port: 22, uid: 0, inode: '9' }]);
    expect(parseSocketTable('garbage\nmore\n')).toEqual([]);
  });
});

describe('findCommand', () => {
  it('finds programs as a shell does: in order, executable files only', () => {
    const folder = tmp();
    mkdirSync(path.join(folder, 'a'));
    mkdirSync(path.join(folder, 'b'));
    mkdirSync(path.join(folder, 'a', 'tool-dir'));
    writeFileSync(path.join(folder, 'a', 'tool'), '');
    writeFileSync(path.join(folder, 'b', 'tool'), '');
    chmodSync(path.join(folder, 'b', 'tool'), 0o755);
    const search = ['', path.join(folder, 'gone'), path.join(folder, 'a'), path.join(folder, 'b')].join(':');
    expect(findCommand('tool', search)).toBe(path.join(folder, 'b', 'tool'));
    expect(findCommand('tool-dir', search)).toBeUndefined();
    expect(findCommand(path.join(folder, 'a', 'tool'), search)).toBeUndefined();
    expect(findCommand(path.join(folder, 'b', 'tool'), search)).toBe(path.join(folder, 'b', 'tool'));
    expect(findCommand('tool', '')).toBeUndefined();
  });
});

describe('readFactsFile', () => {
  const read = (text: string) => {
    const file = path.join(tmp(), 'facts.json');
    writeFileSync(file, text);
    return readFactsFile(file);
  };

  it('fills in what is left out', () => {
    expect(read('{"gpus": [{"index": 0, "name": "NVIDIA L4", "memoryBytes": 24000000000}]}')).toMatchObject({
      name: 'local',
      address: '127.0.0.1',
      gpus: [{ index: 0, uuid: '', memoryUsedBytes: null }],
      ephemeralPorts: { first: 32_768, last: 60_999 },
    });
  });

  it.each([
    ['{', /it is not JSON/],
    ['{"gpu": []}', /Unrecognized key: "gpu"/],
    ['{"gpus": [{"index": -1, "name": "x", "memoryBytes": "big"}]}', /gpus\.0\.index: .*\n.*gpus\.0\.memoryBytes: /],
    [
      '{"gpus": [{"index": 0, "name": "x", "memoryBytes": 1}, {"index": 0, "name": "x", "memoryBytes": 1}]}',
      /two GPUs/,
    ],
    ['[]', /the whole: /],
  ])('refuses %s', (text, problem) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(/does not describe a machine/) }),
    );
    try {
      read(text);
    } catch (error) {
      expect((error as { details: string[] }).details.join('\n')).toMatch(problem);
    }
  });

  it('names a file that is not there', () => {
    expect(() => readFactsFile('/nowhere/facts.json')).toThrow(/\/nowhere\/facts\.json/);
  });
});
