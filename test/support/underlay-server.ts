// A place on a lab's underlay where servers of a test listen for the lab's nodes.
import { underlayInterface } from '../../src/lab/plan.ts';
import type { LabDescription } from '../../src/lab/state.ts';
import { must, run } from './run.ts';

/** Of a block of its own: this machine may have addresses of the lab's own underlay. */
const addressAt = (host: number): string => `198.51.100.${host}`;
export const serverAddress = addressAt(250);

/** Gives this machine an interface on the underlay of a lab; it goes with the block, or with the lab. */
export async function joinUnderlay({ nodes }: LabDescription): Promise<AsyncDisposable> {
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
  for (const [index, { netns }] of nodes.entries())
    await must('ip', ['address', 'add', `${addressAt(index + 1)}/24`, 'dev', underlayInterface], { netns });
  return { [Symbol.asyncDispose]: leave };
}
