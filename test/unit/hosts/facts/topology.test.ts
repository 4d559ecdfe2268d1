import { describe, expect, it } from 'vitest';
import { nvlinksOf, parseTopology } from '../../../../src/hosts/facts/topology.ts';

describe('parseTopology', () => {
  it('reads a head that was stripped of its blanks, and blanks instead of tabs', () => {
    const text = `GPU0    GPU1    CPU Affinity    NUMA Affinity   GPU NUMA ID
GPU0     X      PHB     0-63    0               N/A
GPU1    PHB      X      0-63    0               N/A`;
    expect(parseTopology(text)).toEqual({
      gpus: [0, 1],
      paths: [
        ['X', 'PHB'],
        ['PHB', 'X'],
      ],
      nics: [],
    });
  });

  it('reads one GPU alone, and cells that are empty', () => {
    expect(parseTopology('\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t\tN/A\n')).toEqual({
      gpus: [0],
      paths: [['X']],
      nics: [],
    });
  });

  it('leaves out a row that is glued together', () => {
    const text = '\tGPU0\tGPU1\tNIC0\nGPU0\t X \tNV4\tPIX\nGPU1\tNV4\t XPIX\nNIC0\tPIX\tPIX\t X\n';
    expect(parseTopology(text)).toEqual({ gpus: [0], paths: [['X']], nics: [{ device: 'NIC0', paths: ['PIX'] }] });
  });

  it.each(['', 'No devices were found', 'Legend:\n  X = Self', 'GPU0\tgarbage\nGPU0'])('is none in %j', (text) => {
    expect(parseTopology(text)).toBeUndefined();
  });
});

describe('nvlinksOf', () => {
  it('counts links', () => {
    expect(['NV18', 'NV1', 'PIX', 'X', 'SYS'].map(nvlinksOf)).toEqual([18, 1, 0, 0, 0]);
  });
});
