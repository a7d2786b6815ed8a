import { run } from './run.ts';

/** Whether an address answers the first echo request from a namespace, in the time that a busy machine may take. */
export const answersPing = async (netns: string, address: string): Promise<boolean> =>
  (await run('ping', ['-n', '-c', '1', '-W', '10', address], { netns })).status === 0;
