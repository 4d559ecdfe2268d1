import { describe, expect, it } from 'vitest';
import { readKvTransferParams } from '../../../src/mocker/kv-transfer-params.ts';

const leg2 = {
  do_remote_prefill: true,
  do_remote_decode: false,
  remote_block_ids: [[1, 2]],
  remote_engine_id: 'e',
  remote_request_id: 'r',
  remote_host: 'h',
  remote_port: 5_600,
};

describe('KV transfer parameters', () => {
  it('tells the legs apart', () => {
    expect(readKvTransferParams({ kv_transfer_params: { do_remote_decode: true } })).toEqual({ kind: 'produce' });
    expect(readKvTransferParams({ kv_transfer_params: { ...leg2, unknown_key: 1 } })).toEqual({
      kind: 'consume',
      remote: { engineId: 'e', requestId: 'r', host: 'h', port: 5_600, blockIds: [[1, 2]] },
    });
  });

  it('sees none where there are none', () => {
    for (const body of [
      null,
      7,
      [],
      {},
      { kv_transfer_params: null },
      { kv_transfer_params: 'x' },
      { kv_transfer_params: {} },
    ]) {
      expect(readKvTransferParams(body)).toEqual({ kind: 'none' });
    }
  });

  it.each(Object.keys(leg2).filter((key) => key.startsWith('remote_')))('is invalid without %s', (key) => {
    expect(readKvTransferParams({ kv_transfer_params: { ...leg2, [key]: null } })).toEqual({ kind: 'invalid' });
  });

  it.each([0, 65_536, 1.5, '5600'])('is invalid with port %s', (port) => {
    expect(readKvTransferParams({ kv_transfer_params: { ...leg2, remote_port: port } })).toEqual({ kind: 'invalid' });
  });
});
