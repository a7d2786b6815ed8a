/** Account: every packet of a vector is counted once, under its fate. */
import { NO_TUNNEL } from '../layout/burst';
import { PORT_DROPS, TUNNEL_DROPS } from '../layout/tables';
import { Packet } from '../packet';
import { countDecision, countPortOne, countTunnelOne, countVerdict } from '../table/counters';
import { Verdict } from '../verdict';

/** Counts the fate of a packet. */
export function account(packet: Packet): void {
  const verdict = packet.verdict();
  countVerdict(verdict, 1);
  if (verdict === Verdict.Forward || verdict === Verdict.Consumed) return;
  if (packet.tunnel() === NO_TUNNEL) countPortOne(packet.slot(), PORT_DROPS, 1);
  else countTunnelOne(packet.tunnel(), TUNNEL_DROPS, 1);
  if (verdict === Verdict.PolicyEgress || verdict === Verdict.PolicyIngress) countDecision(packet.decision());
}
