/**
 * Where replay and tshark 4.0 differ on a capture, and why that is right. Reviewed: whatever is not here fails the
 * comparison, and so does what is here and no longer happens.
 */
export interface Disagreement {
  /** Path below the corpus. */
  readonly capture: string;
  /** Frames, each with all of the fields. */
  readonly frames: readonly number[];
  /** Fields of the JSON that differ, with all that is below them; `packet`: only one of the two sees the frame at all. */
  readonly fields: readonly string[];
  readonly reason: string;
}

const clusterfuzz = 'pcap/seladb+PcapPlusPlus/Tests/Fuzzers/RegressionTests';
const tcpdump = 'pcap/the-tcpdump-group+tcpdump/tests';
const zeek = 'pcap/zeek+zeek/testing/btest/Traces';

const variant =
  'tshark guesses from implausible lengths that the file is of a pcap variant with longer record headers (Nokia), and reads the packets elsewhere; the file header says nothing of the kind.';
const tooLong =
  'The record says that the packet had more than 2³¹ bytes; tshark shows no more than 2³¹ − 1, replay what stands there.';
const bigTcp =
  'Linux BIG TCP: longer than 65535 bytes, so IP and UDP lengths are 0. tshark 4.0 takes that for an empty or malformed packet and finds neither transport nor tunnel; replay goes by what was captured.';
const linkType =
  'tshark 4.0 does not read files of this link type; replay reads them and says that it does not know it.';

const first = (...captures: string[]) =>
  captures.map((capture) => ({ capture, frames: [1], fields: ['length'], reason: tooLong }));
const unread = (name: string, frames: readonly number[]) => ({
  capture: `${tcpdump}/${name}`,
  frames,
  fields: ['packet'],
  reason: linkType,
});
const large = (name: string, ...fields: string[]) => ({
  capture: `${tcpdump}/${name}`,
  frames: [1],
  fields,
  reason: bigTcp,
});
const count = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);

export const disagreements: readonly Disagreement[] = [
  {
    capture: 'pcap/OISF+suricata-verify/tests/bug-6875-01/fuzz.pcap',
    frames: [1],
    fields: ['outer', 'inner'],
    reason: variant,
  },
  {
    capture: 'pcap/OISF+suricata-verify/tests/bug-6875-01/fuzz.pcap',
    frames: [2],
    fields: ['packet'],
    reason: variant,
  },
  {
    capture: `${clusterfuzz}/regression_samples/igmplayer`,
    frames: [1],
    fields: ['outer', 'inner'],
    reason: variant,
  },
  {
    capture: `${clusterfuzz}/regression_samples/igmplayer`,
    frames: [2],
    fields: ['length', 'outer', 'inner'],
    reason: variant,
  },
  {
    capture: 'pcap/OISF+suricata-verify/tests/firewall/tcp-session-decode-malformed-ipv4/input.pcap',
    frames: [8],
    fields: ['outer.sport', 'outer.dport', 'inner.l4'],
    reason:
      'An IPv4 security option of 2 bytes makes tshark stop. Options are the hosts’ affair, not the router’s: the header length says where TCP begins.',
  },
  ...first(
    `${clusterfuzz}/clusterfuzz-testcase-minimized-FuzzTarget-4683685084594176`,
    `${clusterfuzz}/regression_samples/clusterfuzz-testcase-minimized-FuzzTarget-5165927376355328`,
    `${clusterfuzz}/regression_samples/clusterfuzz-testcase-minimized-FuzzTarget-5700358767902720`,
    `${clusterfuzz}/regression_samples/clusterfuzz-testcase-minimized-FuzzTarget-5723611632762880`,
    `${clusterfuzz}/regression_samples/clusterfuzz-testcase-minimized-FuzzTarget-5758569646653440`,
    `${clusterfuzz}/regression_samples/clusterfuzz-testcase-minimized-FuzzTarget-6604968558198784`,
  ),
  large('bigtcp-ipv4-geneve-ipv4.pcap', 'outer.checksum', 'tunnel', 'inner'),
  large('bigtcp-ipv4-vxlan-ipv6.pcap', 'outer.checksum', 'tunnel', 'inner'),
  large('bigtcp-ipv6-geneve-ipv4.pcap', 'outer', 'tunnel', 'inner'),
  large('bigtcp-ipv6-vxlan-ipv4.pcap', 'outer', 'tunnel', 'inner'),
  large('bigtcp-ipv6.pcap', 'outer', 'inner.l4'),
  {
    capture: `${tcpdump}/bigtcp-ipv6-hbh.pcap`,
    frames: [1],
    fields: ['inner.l4.checksum'],
    reason:
      'A jumbogram (RFC 2675) whose checksum is partial: tshark’s payload length is 0, and the pseudo-header with it; the length stands in the hop-by-hop option.',
  },
  unread('dsa-high-vid.pcap', count(1, 4)),
  unread('edsa.pcap', count(1, 10)),
  unread('frf16_magic_ie-oobr.pcap', [1]),
  unread('hoobr_juniper3.pcap', [1]),
  unread('juniper_es_oobr.pcap', [1]),
  unread('vtp_asan-3.pcap', [1]),
  {
    capture: `${zeek}/cisco-fabric-path.pcap`,
    frames: count(2, 130, 2),
    fields: ['inner'],
    reason:
      'Cisco FabricPath has a second Ethernet header inside; tshark opens it by a heuristic, and so shows none outside. To the data path it is an Ethernet frame of a type that it does not route.',
  },
  {
    capture: `${zeek}/ipv6-mobility-dst-opts.pcap`,
    frames: [1],
    fields: ['outer', 'inner.l4'],
    reason:
      'A destination option longer than its header makes tshark stop. Destination options are the hosts’ affair, not the router’s: the header’s own length says where UDP begins.',
  },
  {
    capture: `${zeek}/ipv6-mobility-dst-opts.pcap`,
    frames: [3],
    fields: ['outer.checksum', 'inner.l4.checksum'],
    reason:
      'A home address option whose length is 1 is none (RFC 6275 §6.3); tshark complains, and takes the address into the pseudo-header all the same.',
  },
  {
    capture: 'vectors/pcapplusplus-dat.pcapng',
    frames: [86, 87],
    fields: ['outer.dst', 'inner.ip.dst'],
    reason:
      'A source route: tshark shows the last hop of the option as destination, replay the destination of the header, by which packets are routed.',
  },
];
