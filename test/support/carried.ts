import { setTimeout as sleep } from 'node:timers/promises';
import type { Datagrams } from '../../src/lab/agent.ts';
import type { Traffic } from '../../src/lab/traffic.ts';

/** Datagrams under way at once, few enough for every queue on their way even where each is cut into 45 fragments. */
const WINDOW = 16;
const PATIENCE_MS = 10_000;

let nextPort = 6001;

/**
 * Sends datagrams of the sizes in turn to a port of their own, each window when the one before has arrived: what is lost
 * is lost by the data path, however long a busy machine stops a process on the way. Reports what arrived.
 */
export async function carriedUdp(
  sender: Traffic,
  receiver: Traffic,
  { address, sizes, count }: { address: string; sizes: number[]; count: number },
): Promise<Datagrams> {
  const port = nextPort++;
  await receiver.listenUdp({ port });
  for (let sent = 0; sent < count; ) {
    const window = Math.min(WINDOW, count - sent);
    await sender.sendUdp({ address, port, sizes, first: sent, count: window, perSecond: 5000 });
    sent += window;
    const deadline = performance.now() + PATIENCE_MS;
    while ((await receiver.receivedUdp({ port })).received < sent && performance.now() < deadline)
      await sleep(1);
  }
  return receiver.receivedUdp({ port });
}
