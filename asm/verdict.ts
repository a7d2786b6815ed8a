/**
 * The fate of a packet: still in progress, forwarded, consumed, or one named drop.
 *
 * The one list for both sides: the data path counts by number, TypeScript derives the
 * printed names from the member names (`VxlanWrongVni` is printed `vxlan-wrong-vni`).
 * Append only: the numbers stand in counters that outlive a daemon.
 */
export enum Verdict {
  // ---- no drop ----
  InProgress,
  Forward,
  /** Answered or used up by the data path itself, e.g. an ARP request, or left to the node's kernel, which has it, too. */
  Consumed,

  // ---- link layer ----
  /** Shorter than an Ethernet header. */
  FrameTooShort,
  /** Longer than the receiving buffer, or than any packet can be. */
  FrameTooLong,
  /** EtherType that is not routed. */
  NonIp,
  /** 802.1Q or 802.1ad tag on a port or tunnel that carries none. */
  VlanTagged,
  /** Group address, neither ARP nor ND. */
  Multicast,
  /** Not addressed to the router behind the port. */
  NotForUs,
  /** ARP that is malformed, or asks nothing that is answered here. */
  ArpIgnored,
  /** Neighbour discovery that is malformed (RFC 4861 §7.1), or asks nothing that is answered here. */
  NdIgnored,
  /** Router advertisement or redirect from a pod or peer. */
  RouterAdvertisement,
  /** virtio_net_hdr that contradicts the frame behind it. */
  VnetHeader,

  // ---- network layer ----
  /** IPv4 version, header length or reserved field is wrong. */
  Ipv4Header,
  /** IPv4 total length is shorter than its header or longer than the frame. */
  Ipv4Length,
  Ipv4Checksum,
  /** IPv6 version is wrong, or the packet is shorter than the fixed header. */
  Ipv6Header,
  Ipv6Length,
  /** An extension header runs over the end, or the chain is too long. */
  Ipv6Extension,
  /** A fragment whose end passes 65535 bytes, which is not a multiple of 8, or lies over a transport header. */
  FragmentMalformed,
  /** A later fragment whose first one is not known and whose ports are needed. */
  FragmentWithoutFirst,
  /** Addresses that no packet may carry: loopback, unspecified or group source. */
  MartianAddress,

  // ---- transport layer ----
  TcpHeader,
  UdpHeader,
  SctpHeader,
  IcmpHeader,

  // ---- tunnel ----
  /** Bytes of the outer UDP datagram and its length field disagree. */
  OuterLength,
  OuterChecksum,
  /** Outer source is no known peer. */
  UnknownPeer,
  /** The peer is known, but not with this encapsulation. */
  WrongEncapsulation,
  VxlanTooShort,
  VxlanNoVni,
  VxlanWrongVni,
  GeneveTooShort,
  GeneveVersion,
  GeneveOptions,
  GeneveCriticalOption,
  /** O bit: a control packet, never forwarded (RFC 8926 §3.4). */
  GeneveOam,
  GeneveProtocol,
  GeneveWrongVni,
  IpipProtocol,
  /** Outer CE over an inner packet that is not ECN-capable (RFC 6040 §4.2). */
  EcnCongestion,
  /** Inner source does not belong to the peer that sent it. */
  InnerSourceSpoofed,
  /** A tunnel inside a tunnel between the same two ends (RFC 2003 §3.2, RFC 2473 §4.1). */
  TunnelLoop,
  /** Tunnel encapsulation limit used up (RFC 2473 §4.1.1). */
  EncapsulationLimit,

  // ---- router ----
  /** A pod sent from a MAC or address that is not its own. */
  SourceSpoofed,
  NoRoute,
  /** The destination is inside the cluster's range but no such pod lives. */
  NoEndpoint,
  TtlExpired,
  /** Too big for the way out; the sender was told. */
  MtuExceeded,
  /** Too big for the way out and of a kind that cannot be split or reported. */
  Unsplittable,
  /** Came from a tunnel and would leave by one. */
  TunnelToTunnel,
  PortDown,

  // ---- policy and connections ----
  PolicyEgress,
  PolicyIngress,
  /** The policies of this pod are not known yet. */
  PolicyPending,
  /** No connection can have this packet: TCP flags that exclude each other, an SCTP tag that nobody can have chosen. */
  ConnectionInvalid,
  /** Asks for a connection for which there is no room, and whose answers policy would refuse without it. */
  ConnectionTableFull,

  // ---- resources of the data path ----
  /** The burst left no room to build what this packet needs. */
  BurstFull,

  // ---- refused by the kernel on transmission ----
  TxQueueFull,
  TxMessageSize,
  TxUnreachable,
  TxDeviceDown,
  TxRefused,

  // ---- replay ----
  /** The capture holds less of the packet than crossed the wire. */
  CaptureTruncated,
  /** A link type, or a packet on it, that carries no IP and no Ethernet. */
  LinkType,

  // ---- Services ----
  /** No node has an endpoint that could answer; the client is told. */
  ServiceNoEndpoint,
  /** The traffic policy is Local, and only other nodes have endpoints. */
  ServiceNoLocalEndpoint,
  /** The client is in none of the loadBalancerSourceRanges. */
  ServiceSourceRange,
  /** A cluster IP, but not a port of its Service; the client is told. */
  ServiceNoSuchPort,
  /** No source port is left that the node could put in place of the client's. */
  ServiceNoSourcePort,

  // ---- bandwidth ----
  /** More waits for the pod than its rate lets through. */
  RateExceeded,

  // ---- Services, continued ----
  /** A fragment of an SCTP packet whose ports would change: its CRC covers fragments that are not here (RFC 9260 §6.8). */
  ServiceSctpFragment,
}
