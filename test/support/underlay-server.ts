// A place on a lab's underlay where servers of a test listen for the lab's nodes.
import { must, run } from './run.ts';

export const serverAddress = '192.0.2.250';

/** Gives this machine an interface on the underlay of the lab that is up; it goes with the block, or with the lab. */
export async function joinUnderlay(): Promise<AsyncDisposable> {
  const leave = async () => void (await run('ip', ['link', 'delete', 'ow-servers']));
  await leave();
  await must('ip', [
    'link',
    'add',
    'ow-servers',
    'type',
    'veth',
    'peer',
    'name',
    'servers',
    'netns',
    'ow-underlay',
  ]);
  const bridges = await must('ip', ['-n', 'ow-underlay', '-json', 'link', 'show', 'type', 'bridge']);
  const [bridge] = JSON.parse(bridges);
  await must('ip', ['-n', 'ow-underlay', 'link', 'set', 'servers', 'master', bridge.ifname, 'up']);
  await must('ip', ['address', 'add', `${serverAddress}/24`, 'dev', 'ow-servers']);
  await must('ip', ['link', 'set', 'ow-servers', 'up']);
  return { [Symbol.asyncDispose]: leave };
}
