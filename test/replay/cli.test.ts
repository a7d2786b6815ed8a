import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pcapHeader, pcapRecord } from '../capture-file/bytes.ts';
import { program } from '../support/overweft-node.ts';
import { ethernet, tcpPacket, udpPacket, vxlan } from '../support/packets.ts';
import { overweft, run } from '../support/run.ts';

const macs = { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' };
const plain = ethernet(macs, tcpPacket({ src: '10.0.0.1', dst: '10.0.0.2' }, {}));
const tunnelled = (dport: number) =>
  ethernet(macs, udpPacket({ src: '192.0.2.1', dst: '192.0.2.2' }, { dport }, vxlan(7, plain)));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'overweft-replay-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function capture(name: string, ...parts: Uint8Array[]): string {
  const file = join(folder, name);
  writeFileSync(file, Buffer.concat([pcapHeader(), ...parts]));
  return file;
}

const json = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('overweft replay --json', () => {
  it('prints one object a packet, every key in its place', async () => {
    const file = capture('two.pcap', pcapRecord(tunnelled(4789)), pcapRecord(plain));
    const { status, stdout, stderr } = await overweft(['replay', '--json', file]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const ip = (src: string, dst: string, protocol: number) =>
      `{"version":4,"src":"${src}","dst":"${dst}","protocol":${protocol},"ttl":64,"dscp":0,"ecn":0,"fragment":{"offset":0,"more":false}}`;
    const ethernetText = `{"src":"${macs.src}","dst":"${macs.dst}","type":2048,"vlans":[]}`;
    const inner = `{"ethernet":${ethernetText},"ip":${ip('10.0.0.1', '10.0.0.2', 6)},"l4":{"sport":40000,"dport":80,"checksum":"ok"}}`;
    expect(stdout.split('\n')).toEqual([
      `{"file":"${file}","n":1,"length":104,"outer":{"src":"192.0.2.1","dst":"192.0.2.2","protocol":17,"sport":40000,"dport":4789,"checksum":"ok"},"tunnel":{"type":"vxlan","vni":7,"protocol":null,"oam":null,"critical":null,"options":null},"inner":${inner},"verdict":"forward","reason":null}`,
      `{"file":"${file}","n":2,"length":54,"outer":{"src":"10.0.0.1","dst":"10.0.0.2","protocol":6,"sport":40000,"dport":80,"checksum":"none"},"tunnel":null,"inner":${inner},"verdict":"forward","reason":null}`,
      '',
    ]);
  });

  it('counts packets from 1 in each file', async () => {
    const one = capture('one.pcap', pcapRecord(plain));
    const two = capture('more.pcap', pcapRecord(plain), pcapRecord(plain));
    const { stdout } = await overweft(['replay', '--json', one, two]);
    expect(json(stdout).map(({ file, n }) => [file, n])).toEqual([
      [one, 1],
      [two, 1],
      [two, 2],
    ]);
  });

  it('says nothing about a file without packets', async () => {
    expect(await overweft(['replay', '--json', capture('empty.pcap')])).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });

  it('takes more ports for tunnels', async () => {
    const file = capture(
      'ports.pcap',
      pcapRecord(tunnelled(9000)),
      pcapRecord(tunnelled(9001)),
      pcapRecord(tunnelled(8472)),
    );
    const { stdout } = await overweft([
      'replay',
      '--json',
      '--vxlan-port',
      '9000',
      '--geneve-port',
      '9001',
      file,
    ]);
    expect(json(stdout).map(({ tunnel }) => (tunnel as { type: string }).type)).toEqual([
      'vxlan',
      'geneve',
      'vxlan',
    ]);
  });
});

describe('overweft replay', () => {
  it('prints readable lines and a sum', async () => {
    const bad = ethernet(
      macs,
      udpPacket({ src: '192.0.2.1', dst: '192.0.2.2' }, { dport: 4789, checksum: 1 }, vxlan(7, plain)),
    );
    const file = capture('lines.pcap', pcapRecord(tunnelled(4789)), pcapRecord(plain), pcapRecord(bad));
    const { stdout } = await overweft(['replay', file]);
    expect(stdout.split('\n')).toEqual([
      '1 192.0.2.1:40000 > 192.0.2.2:4789 udp checksum ok | vxlan vni 7 | 10.0.0.1:40000 > 10.0.0.2:80 tcp checksum ok ttl 64 -> forward',
      '2 10.0.0.1:40000 > 10.0.0.2:80 tcp checksum ok ttl 64 -> forward',
      '3 192.0.2.1:40000 > 192.0.2.2:4789 udp checksum bad | vxlan vni 7 | 10.0.0.1:40000 > 10.0.0.2:80 tcp checksum ok ttl 64 -> drop outer-checksum',
      '3 packets',
      '2 forward',
      '1 outer-checksum',
      '',
    ]);
  });

  it('reads through gzip', async () => {
    const file = join(folder, 'packed.pcap.gz');
    writeFileSync(file, gzipSync(readFileSync(capture('unpacked.pcap', pcapRecord(plain)))));
    expect((await overweft(['replay', '--json', file])).stdout).toContain('"n":1,');
  });

  it('reads the standard input', async () => {
    const file = capture('piped.pcap', pcapRecord(plain));
    const { stdout } = await run('sh', ['-c', 'cat "$0" | "$@" replay --json -', file, ...program]);
    expect(json(stdout).map(({ file, n }) => [file, n])).toEqual([['-', 1]]);
  });

  it('reads no directory', async () => {
    expect(await overweft(['replay', '--json', folder])).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `overweft: ${folder}: is a directory: name the captures in it\n`,
    });
  });

  it('reports a damaged file with its place, behind what can be read, and goes on with the next', async () => {
    const damaged = capture('damaged.pcap', pcapRecord(plain), pcapRecord(plain).subarray(0, 20));
    const whole = capture('whole.pcap', pcapRecord(plain));
    const { status, stdout, stderr } = await overweft([
      'replay',
      '--json',
      damaged,
      join(folder, 'missing.pcap'),
      whole,
    ]);
    expect(status).toBe(1);
    expect(json(stdout).map(({ file, n }) => [file, n])).toEqual([
      [damaged, 1],
      [whole, 1],
    ]);
    expect(stderr.split('\n')).toEqual([
      `overweft: ${damaged}: byte 94: packet cut short: 4 of 54 bytes`,
      expect.stringContaining(`overweft: ${join(folder, 'missing.pcap')}: ENOENT`),
      '',
    ]);
  });

  it('ends quietly when nobody reads on', async () => {
    const file = capture('many.pcap', ...Array.from({ length: 5000 }, () => pcapRecord(plain)));
    const [command = '', ...args] = program;
    const child = spawn(command, [...args, 'replay', '--json', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each(['0', '65536', 'x'])('refuses port %s', async (port) => {
    const { status, stderr } = await overweft(['replay', '--vxlan-port', port, 'none.pcap']);
    expect(status).toBe(1);
    expect(stderr).toContain('a port is a number from 1 to 65535');
  });
});

describe('what overweft replay writes', () => {
  it('says that its output cannot be written, and fails', async () => {
    const file = capture('full.pcap', pcapRecord(plain));
    const { status, stderr } = await run('sh', ['-c', '"$@" >/dev/full', 'sh', ...program, 'replay', file]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^overweft: the output cannot be written: ENOSPC.*\n$/);
  });

  it('takes no capture for its output', async () => {
    const file = capture('both.pcap', pcapRecord(plain));
    const before = readFileSync(file);
    const config = join(folder, 'node.yaml');
    writeFileSync(
      config,
      `node: node-1\nstore: {type: file, directory: ${folder}}\nunderlay: {addresses: [192.0.2.1]}\n`,
    );
    const link = join(folder, 'link.pcap');
    symlinkSync(file, link);
    const { status, stderr } = await overweft(['replay', '--config', config, '--out', link, file]);
    expect(status).toBe(1);
    expect(stderr).toBe(`overweft: --out ${link}: is one of the captures: must be another file\n`);
    expect(readFileSync(file)).toEqual(before);
  });
});
