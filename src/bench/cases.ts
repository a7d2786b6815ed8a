/** What is measured, on which underlay, beside whom, and what is asked of it. */
import { encapsulations, type LabOptions, underlayOffloads, underlays } from '../lab/plan.ts';
import type { PeerName } from './contestant.ts';
import { bulkStream, highestRate, type Measure, roundTrips, unlimitedDatagrams } from './measures.ts';
import type { Better } from './statistics.ts';

/** A lab of its own. */
export type Setting = Pick<LabOptions, 'encapsulation' | 'underlay' | 'underlayOffloads'>;

export interface Figure {
  /** Key of the value in what the measure returns. */
  readonly key: string;
  readonly title: string;
  readonly unit: 'bit/s' | 'packets/s' | 's' | 's/GB';
  readonly better: Better;
  /** What Overweft's value divided by the peer's must reach; none where it is only reported. */
  readonly target?: (peer: PeerName) => number | undefined;
}

export interface Case {
  /** Unique; `--only` picks by it. */
  readonly name: string;
  readonly setting: Setting;
  /** Between nodes, or between two pods of one. */
  readonly way: 'across' | 'local';
  readonly peers: readonly PeerName[];
  /** What one measurement gives. */
  readonly figures: readonly Figure[];
  readonly measure: Measure;
  /** Milliseconds. */
  readonly window: number;
  /** Belongs to the short run. */
  readonly quick: boolean;
}

const userspacePeers = ['openvswitch', 'flannel', 'nebula', 'wireguard'] as const;
const userspaceTarget = (peer: PeerName): number => (peer === 'wireguard' ? 1.5 : 3);
const isKernel = (peer: PeerName): boolean => peer === 'kernel' || peer === 'bridge';

export const plainSetting: Setting = { encapsulation: 'geneve', underlay: 'ipv4', underlayOffloads: 'none' };

const cpu: Figure = { key: 'cpu', title: 'CPU seconds a gigabyte', unit: 's/GB', better: 'less' };

/** In names of cases. */
const links = { default: 'offloads', nic: 'nic', none: 'plain' } as const;

const streams = underlayOffloads.toReversed().flatMap((offloads) =>
  encapsulations
    .filter((encapsulation) => encapsulation !== 'ipip')
    .flatMap((encapsulation) =>
      underlays.map((underlay): Case => {
        const first = encapsulation === 'geneve' && underlay === 'ipv4';
        const kernelTarget = offloads === 'default' ? 1 : 1.25;
        return {
          name: `tcp/${links[offloads]}/${encapsulation}/${underlay}`,
          setting: { encapsulation, underlay, underlayOffloads: offloads },
          way: 'across',
          peers: first && offloads === 'none' ? ['kernel', ...userspacePeers] : ['kernel'],
          figures: [
            {
              key: 'rate',
              title: 'TCP, one stream',
              unit: 'bit/s',
              better: 'more',
              target: (peer) => (isKernel(peer) ? kernelTarget : userspaceTarget(peer)),
            },
            cpu,
          ],
          measure: bulkStream,
          window: 400,
          quick: first && offloads !== 'nic',
        };
      }),
    ),
);

const datagrams = (['none', 'default'] as const).flatMap((offloads) =>
  [1, 1000].flatMap((flows): Case[] => {
    const name = `${links[offloads]}/${flows === 1 ? '1-flow' : `${flows}-flows`}`;
    const title = `16-byte UDP, ${flows === 1 ? 'one flow' : '1 000 flows'}`;
    const setting: Setting = { ...plainSetting, underlayOffloads: offloads };
    return [
      {
        name: `udp16/unlimited/${name}`,
        setting,
        way: 'across',
        peers: offloads === 'none' ? ['kernel', ...userspacePeers] : ['kernel'],
        figures: [
          {
            key: 'rate',
            title: `${title}, sender unlimited, what arrives`,
            unit: 'packets/s',
            better: 'more',
            target: (peer) => (isKernel(peer) ? 2.5 : userspaceTarget(peer)),
          },
        ],
        measure: unlimitedDatagrams(flows),
        window: 300,
        quick: flows === 1 && offloads === 'none',
      },
      {
        name: `udp16/loss-below-1%/${name}`,
        setting,
        way: 'across',
        peers: ['kernel'],
        figures: [
          {
            key: 'rate',
            title: `${title}, highest rate at 1 % loss at most`,
            unit: 'packets/s',
            better: 'more',
            target: () => 1.6,
          },
        ],
        measure: highestRate(flows),
        window: 200,
        quick: false,
      },
    ];
  }),
);

const sameNode: Case = {
  name: 'same-node/tcp',
  setting: plainSetting,
  way: 'local',
  peers: ['bridge'],
  figures: [
    {
      key: 'rate',
      title: 'two pods of one node, TCP, one stream',
      unit: 'bit/s',
      better: 'more',
      target: () => 0.8,
    },
    cpu,
  ],
  measure: bulkStream,
  // Long enough for the scheduler to have moved the threads about: where they run side by side makes a factor of two.
  window: 1500,
  quick: true,
};

const latencies = (
  [
    ['back-to-back', 'one byte there and back, back to back', {}, 'p50', 1.4],
    ['every-10-ms', 'one byte there and back, every 10 ms', { intervalUs: 10_000 }, 'p50', undefined],
    ['beside-bulk', 'one byte there and back, beside a TCP stream', { bulk: true }, 'p99', 1],
  ] as const
).map(
  ([name, title, options, key, target]): Case => ({
    name: `latency/${name}`,
    setting: plainSetting,
    way: 'across',
    peers: ['kernel'],
    figures: [
      {
        key,
        title: `${title}, ${key}`,
        unit: 's',
        better: 'less',
        ...(target === undefined ? {} : { target: () => target }),
      },
    ],
    measure: roundTrips(options),
    window: name === 'back-to-back' ? 300 : 500,
    quick: name === 'back-to-back',
  }),
);

export const cases: readonly Case[] = [...streams, ...datagrams, sameNode, ...latencies];

/** Those that matter most, beside the kernel alone. */
export const quickCases: readonly Case[] = cases
  .filter(({ quick }) => quick)
  .map((one) => ({ ...one, peers: one.peers.filter(isKernel) }));
