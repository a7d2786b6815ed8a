// A host outside the cluster, on the underlay of a lab.
import { joinUnderlay } from '../../src/lab/network.ts';
import { greeter } from './greeter.ts';
import { type Lab, labUp } from './lab.ts';
import { type Netns, netns } from './netns.ts';

/** IPv4 first. */
export const outsideIps = ['192.0.2.200', '2001:db8::200'] as const;

/** A network namespace with those addresses; the lab must be up. */
export async function outsideHost(): Promise<Netns> {
  const host = await netns('ow-outside');
  await joinUnderlay([{ name: 'outside', netns: host.name, ips: outsideIps }], 'default');
  return host;
}

/** Ends as a whole. */
export interface OutsideLab extends AsyncDisposable {
  readonly lab: Lab;
  /** A network namespace with `outsideIps`. */
  readonly outside: Netns;
}

/**
 * A lab, a host outside of it, and servers that tell their clients what they see of them.
 * @param args of `overweft lab up`
 * @param greeters namespaces of those servers
 */
export async function labAndOutside(
  args: readonly string[],
  greeters: readonly string[] = [],
): Promise<OutsideLab> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await labUp(...args));
  const outside = stack.use(await outsideHost());
  for (const space of greeters) stack.use(await greeter(space));
  const all = stack.move();
  return { lab, outside, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
