import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { readLinks } from '../../../src/hosts/link-state.ts';
import { tmpDir } from '../../helpers/tmp-dir.ts';

it('reads RDMA ports and network devices from sysfs', () => {
  using tmp = tmpDir();
  const put = (file: string, text: string) => {
    mkdirSync(path.dirname(path.join(tmp.dir, file)), { recursive: true });
    writeFileSync(path.join(tmp.dir, file), `${text}\n`);
  };
  put('infiniband/mlx5_0/ports/1/state', '4: ACTIVE');
  put('infiniband/mlx5_0/ports/1/rate', '400 Gb/sec (4X NDR)');
  put('infiniband/mlx5_1/ports/1/state', '1: DOWN');
  put('infiniband/mlx5_1/ports/1/rate', '10 Gb/sec (4X SDR)');
  put('infiniband/mlx5_1/ports/2/state', '2: INIT');
  put('net/ens1/operstate', 'up');
  put('net/ens1/speed', '100000');
  put('net/ens1/device/vendor', '0x15b3');
  put('net/ens2/operstate', 'down');
  put('net/ens2/device/vendor', '0x15b3');
  put('net/docker0/operstate', 'up');
  expect(readLinks(tmp.dir)).toEqual([
    { name: 'mlx5_0', kind: 'rdma', up: true, state: 'active', rateGbps: 400 },
    { name: 'mlx5_1', kind: 'rdma', up: false, state: 'down', rateGbps: null },
    { name: 'mlx5_1/2', kind: 'rdma', up: false, state: 'init', rateGbps: null },
    { name: 'ens1', kind: 'ethernet', up: true, state: 'up', rateGbps: 100 },
    { name: 'ens2', kind: 'ethernet', up: false, state: 'down', rateGbps: null },
  ]);
  expect(readLinks(path.join(tmp.dir, 'nowhere'))).toEqual([]);
});
