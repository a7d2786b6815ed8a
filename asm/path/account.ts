/** Account: every packet of a vector is counted once, under its fate. */
import { NO_TUNNEL } from '../layout/burst';
import { PACKET_SIZE } from '../layout/packet';
import { PORT_DROPS, TUNNEL_DROPS } from '../layout/tables';
import { Packet } from '../packet';
import { countDecision, countPortOne, countTunnelOne, countVerdict } from '../table/counters';
import { eventDenied } from '../table/events';
import { Verdict } from '../verdict';
import { isLogging } from '../worker';

/** Counts the fates of the rows from `first` up to `end`. */
export function account(first: usize, end: usize): void {
  let forwarded: u32 = 0;
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.verdict() === Verdict.Forward) forwarded++;
    else accountOther(packet);
  }
  countVerdict(Verdict.Forward, forwarded);
}

/** A Service cannot be reached. */
function isService(verdict: Verdict): bool {
  return (
    verdict === Verdict.ServiceNoEndpoint ||
    verdict === Verdict.ServiceNoLocalEndpoint ||
    verdict === Verdict.ServiceNoSuchPort ||
    verdict === Verdict.ServiceNoSourcePort ||
    verdict === Verdict.ServiceSctpFragment
  );
}

function accountOther(packet: Packet): void {
  const verdict = packet.verdict();
  countVerdict(verdict, 1);
  if (verdict === Verdict.Consumed) return;
  if (packet.tunnel() === NO_TUNNEL) countPortOne(packet.slot(), PORT_DROPS, 1);
  else countTunnelOne(packet.tunnel(), TUNNEL_DROPS, 1);
  const isPolicy = verdict === Verdict.PolicyEgress || verdict === Verdict.PolicyIngress;
  if (isPolicy) countDecision(packet.decision());
  if (
    isLogging &&
    (isPolicy ||
      verdict === Verdict.ConnectionInvalid ||
      verdict === Verdict.ConnectionTableFull ||
      isService(verdict))
  )
    eventDenied(packet);
}
