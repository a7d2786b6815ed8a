/** View of one row of the vector of packets; the row is drawn in layout/packet.ts. */
import {
  PACKET_DATA,
  PACKET_DECISION,
  PACKET_DESTINATION,
  PACKET_DIRECTION,
  PACKET_DPORT,
  PACKET_END,
  PACKET_ETHERTYPE,
  PACKET_FLAGS,
  PACKET_FLOW,
  PACKET_FRAGMENT_ID,
  PACKET_FRAGMENT_OFFSET,
  PACKET_FROM,
  PACKET_FRONT,
  PACKET_GSO_SIZE,
  PACKET_GSO_TYPE,
  PACKET_HASH,
  PACKET_L3,
  PACKET_L4,
  PACKET_LENGTH,
  PACKET_MTU,
  PACKET_NEXT_HEADER,
  PACKET_OUTER_TOS,
  PACKET_PAYLOAD,
  PACKET_PROTOCOL,
  PACKET_QUEUE,
  PACKET_ROUTE,
  PACKET_SLOT,
  PACKET_SOURCE,
  PACKET_SPORT,
  PACKET_TARGET,
  PACKET_TCP_FLAGS,
  PACKET_TO,
  PACKET_TOS,
  PACKET_TTL,
  PACKET_TUNNEL,
  PACKET_VERDICT,
  PACKET_VERSION,
  PACKET_VLANS,
} from './layout/packet';
import { Verdict } from './verdict';

/** All of the row is valid once parse has run; before that DATA, LENGTH, SLOT, FLAGS, TUNNEL and the GSO fields are. */
@unmanaged
export class Packet {
  @inline static at(p: usize): Packet {
    return changetype<Packet>(p);
  }
  @inline data(): usize {
    return <usize>load<u32>(changetype<usize>(this), PACKET_DATA);
  }
  @inline setData(data: usize): void {
    store<u32>(changetype<usize>(this), <u32>data, PACKET_DATA);
  }
  @inline length(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_LENGTH);
  }
  @inline setLength(bytes: u32): void {
    store<u32>(changetype<usize>(this), bytes, PACKET_LENGTH);
  }
  @inline verdict(): Verdict {
    return load<u32>(changetype<usize>(this), PACKET_VERDICT);
  }
  @inline setVerdict(verdict: Verdict): void {
    store<u32>(changetype<usize>(this), verdict, PACKET_VERDICT);
  }
  @inline isInProgress(): bool {
    return load<u32>(changetype<usize>(this), PACKET_VERDICT) === <u32>Verdict.InProgress;
  }
  @inline slot(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_SLOT);
  }
  @inline setSlot(slot: u32): void {
    store<u16>(changetype<usize>(this), <u16>slot, PACKET_SLOT);
  }
  @inline l3(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_L3);
  }
  @inline setL3(bytes: u32): void {
    store<u16>(changetype<usize>(this), <u16>bytes, PACKET_L3);
  }
  @inline l4(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_L4);
  }
  @inline setL4(bytes: u32): void {
    store<u16>(changetype<usize>(this), <u16>bytes, PACKET_L4);
  }
  @inline payload(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_PAYLOAD);
  }
  @inline setPayload(bytes: u32): void {
    store<u16>(changetype<usize>(this), <u16>bytes, PACKET_PAYLOAD);
  }
  @inline etherType(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_ETHERTYPE);
  }
  @inline setEtherType(type: u32): void {
    store<u16>(changetype<usize>(this), <u16>type, PACKET_ETHERTYPE);
  }
  @inline protocol(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_PROTOCOL);
  }
  @inline setProtocol(protocol: u32): void {
    store<u8>(changetype<usize>(this), <u8>protocol, PACKET_PROTOCOL);
  }
  @inline version(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_VERSION);
  }
  @inline setVersion(version: u32): void {
    store<u8>(changetype<usize>(this), <u8>version, PACKET_VERSION);
  }
  @inline flags(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_FLAGS);
  }
  @inline setFlags(flags: u32): void {
    store<u16>(changetype<usize>(this), <u16>flags, PACKET_FLAGS);
  }
  @inline has(flag: u32): bool {
    return (<u32>load<u16>(changetype<usize>(this), PACKET_FLAGS) & flag) !== 0;
  }
  @inline addFlags(flags: u32): void {
    store<u16>(
      changetype<usize>(this),
      <u16>(<u32>load<u16>(changetype<usize>(this), PACKET_FLAGS) | flags),
      PACKET_FLAGS,
    );
  }
  @inline gsoSize(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_GSO_SIZE);
  }
  @inline gsoType(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_GSO_TYPE);
  }
  @inline setGso(type: u32, size: u32): void {
    store<u8>(changetype<usize>(this), <u8>type, PACKET_GSO_TYPE);
    store<u16>(changetype<usize>(this), <u16>size, PACKET_GSO_SIZE);
  }
  @inline end(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_END);
  }
  @inline setEnd(bytes: u32): void {
    store<u32>(changetype<usize>(this), bytes, PACKET_END);
  }
  /** Bytes of the IP packet. */
  @inline ipLength(): u32 {
    return this.end() - this.l3();
  }
  /** Offset of the IP header. */
  @inline ip(): usize {
    return this.data() + this.l3();
  }
  /** Offset of the transport header. */
  @inline transport(): usize {
    return this.data() + this.l4();
  }
  @inline source(): usize {
    return changetype<usize>(this) + PACKET_SOURCE;
  }
  @inline destination(): usize {
    return changetype<usize>(this) + PACKET_DESTINATION;
  }
  @inline sport(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_SPORT);
  }
  @inline dport(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_DPORT);
  }
  /** Both ports as one word: destination << 16 | source. */
  @inline ports(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_SPORT);
  }
  @inline setPorts(sport: u32, dport: u32): void {
    this.setPortPair(sport | (dport << 16));
  }
  /** As ports() returns them. */
  @inline setPortPair(ports: u32): void {
    store<u32>(changetype<usize>(this), ports, PACKET_SPORT);
  }
  @inline hash(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_HASH);
  }
  @inline setHash(hash: u32): void {
    store<u32>(changetype<usize>(this), hash, PACKET_HASH);
  }
  @inline flow(): usize {
    return <usize>load<u32>(changetype<usize>(this), PACKET_FLOW);
  }
  @inline setFlow(flow: usize): void {
    store<u32>(changetype<usize>(this), <u32>flow, PACKET_FLOW);
  }
  @inline front(): usize {
    return <usize>load<u32>(changetype<usize>(this), PACKET_FRONT);
  }
  @inline setFront(front: usize): void {
    store<u32>(changetype<usize>(this), <u32>front, PACKET_FRONT);
  }
  @inline direction(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_DIRECTION);
  }
  @inline setDirection(direction: u32): void {
    store<u8>(changetype<usize>(this), <u8>direction, PACKET_DIRECTION);
  }
  @inline queue(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_QUEUE);
  }
  @inline setQueue(queue: u32): void {
    store<u8>(changetype<usize>(this), <u8>queue, PACKET_QUEUE);
  }
  @inline tunnel(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_TUNNEL);
  }
  @inline setTunnel(tunnel: u32): void {
    store<u32>(changetype<usize>(this), tunnel, PACKET_TUNNEL);
  }
  @inline from(): usize {
    return <usize>load<u32>(changetype<usize>(this), PACKET_FROM);
  }
  @inline setFrom(endpoint: usize): void {
    store<u32>(changetype<usize>(this), <u32>endpoint, PACKET_FROM);
  }
  @inline to(): usize {
    return <usize>load<u32>(changetype<usize>(this), PACKET_TO);
  }
  @inline setTo(endpoint: usize): void {
    store<u32>(changetype<usize>(this), <u32>endpoint, PACKET_TO);
  }
  @inline route(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_ROUTE);
  }
  @inline target(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_TARGET);
  }
  @inline setRoute(route: u32, target: u32): void {
    store<u32>(changetype<usize>(this), route, PACKET_ROUTE);
    store<u32>(changetype<usize>(this), target, PACKET_TARGET);
  }
  @inline decision(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_DECISION);
  }
  @inline setDecision(decision: u32): void {
    store<u32>(changetype<usize>(this), decision, PACKET_DECISION);
  }
  /** Not decided yet: TO, ROUTE, TARGET and DECISION, which lie side by side, are 0. */
  @inline setUndecided(): void {
    store<u64>(changetype<usize>(this), 0, PACKET_TO);
    store<u64>(changetype<usize>(this), 0, PACKET_TARGET);
  }
  @inline fragmentOffset(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_FRAGMENT_OFFSET);
  }
  @inline fragmentId(): u32 {
    return load<u32>(changetype<usize>(this), PACKET_FRAGMENT_ID);
  }
  @inline setFragment(offset: u32, id: u32): void {
    store<u16>(changetype<usize>(this), <u16>offset, PACKET_FRAGMENT_OFFSET);
    store<u32>(changetype<usize>(this), id, PACKET_FRAGMENT_ID);
  }
  @inline tos(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_TOS);
  }
  @inline ttl(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_TTL);
  }
  @inline setTosTtl(tos: u32, ttl: u32): void {
    store<u8>(changetype<usize>(this), <u8>tos, PACKET_TOS);
    store<u8>(changetype<usize>(this), <u8>ttl, PACKET_TTL);
  }
  @inline mtu(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_MTU);
  }
  @inline setMtu(bytes: u32): void {
    store<u16>(changetype<usize>(this), <u16>bytes, PACKET_MTU);
  }
  @inline outerTos(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_OUTER_TOS);
  }
  @inline setOuterTos(tos: u32): void {
    store<u8>(changetype<usize>(this), <u8>tos, PACKET_OUTER_TOS);
  }
  @inline vlans(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_VLANS);
  }
  @inline setVlans(tags: u32): void {
    store<u8>(changetype<usize>(this), <u8>tags, PACKET_VLANS);
  }
  @inline tcpFlags(): u32 {
    return <u32>load<u8>(changetype<usize>(this), PACKET_TCP_FLAGS);
  }
  @inline setTcpFlags(flags: u32): void {
    store<u8>(changetype<usize>(this), <u8>flags, PACKET_TCP_FLAGS);
  }
  @inline nextHeaderAt(): u32 {
    return <u32>load<u16>(changetype<usize>(this), PACKET_NEXT_HEADER);
  }
  @inline setNextHeaderAt(bytes: u32): void {
    store<u16>(changetype<usize>(this), <u16>bytes, PACKET_NEXT_HEADER);
  }
}
