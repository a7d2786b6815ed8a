// What a node's network could keep of pods, policies and Services that are gone.
import type { Machine } from './machine.ts';
import type { Overweft } from './overweft.ts';

/** What the kernel gives each interface when it likes. */
const isOfLink = (text: string): boolean => text.includes('fe80::');

/** All of it in lines of text, to be compared with what was there before. */
export async function traces(node: {
  readonly machine: Machine;
  readonly overweft: Overweft;
}): Promise<object> {
  const { machine, overweft } = node;
  const lines = async (...command: string[]) =>
    (await machine.must(command)).split('\n').filter((line) => line !== '');
  const { ports, addresses } = await overweft.status();
  return {
    ports: ports.map(({ name }) => name),
    used: addresses.map(({ used }) => used),
    namespaces: await lines('ls', '/run/netns'),
    links: (await lines('ip', '-brief', 'link')).map((line) => line.split(' ')[0]),
    addresses: (await lines('ip', '-brief', 'address')).map((line) => {
      const [name, _state, ...addresses] = line.trim().split(/ +/);
      return [name, ...addresses.filter((address) => !isOfLink(address))].join(' ');
    }),
    rules: [...(await lines('ip', '-4', 'rule')), ...(await lines('ip', '-6', 'rule'))],
    routes: [
      ...(await lines('ip', '-4', 'route', 'show', 'table', 'all')),
      ...(await lines('ip', '-6', 'route', 'show', 'table', 'all')),
    ]
      .filter((line) => !isOfLink(line))
      .sort(),
    nft: await lines('nft', '--stateless', 'list', 'ruleset'),
    // Containers' own are containerd's.
    run: (
      await lines('find', '/run', '-path', '/run/containerd', '-prune', '-o', '-type', 'f', '-print')
    ).sort(),
    notes: await lines('find', `${machine.folder}/overweft`, '-path', '*/cni-deleted/*'),
  };
}
