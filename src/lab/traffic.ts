/** Traffic between pods, from real sockets inside their network namespaces. */
import { spawn } from 'node:child_process';
import { CommandError, run } from '../host/command.ts';
import { inside, netnsFile } from '../host/netns.ts';
import { type Answer, agentProgram, type Operations } from './agent.ts';
import { LabError } from './outcome.ts';

/** An agent in one network namespace; each operation of agent.ts is a method. */
export type Traffic = Operations & AsyncDisposable;

/** Starts an agent inside a network namespace. */
export function trafficIn(netns: string): Traffic {
  const [command, args] = inside(netnsFile(netns), process.execPath, [agentProgram]);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let stderr = '';
  let ended: Error | null = null;
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const closed = new Promise<void>((resolve) => {
    const end = (error: Error) => {
      ended = error;
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
      resolve();
    };
    child.on('error', end);
    child.on('close', () => end(new LabError(`the traffic process in ${netns} ended\n${stderr.trim()}`)));
  });
  child.on('message', (answer: Answer) => {
    const request = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) request?.reject(new LabError(`${netns}: ${answer.error}`));
    else request?.resolve(answer.result as never);
  });

  let ids = 0;
  const call =
    <Name extends keyof Operations>(operation: Name) =>
    (options: Parameters<Operations[Name]>[0]): ReturnType<Operations[Name]> =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended);
        const id = ids++;
        waiting.set(id, { resolve, reject });
        child.send({ id, operation, options });
      }) as ReturnType<Operations[Name]>;

  return {
    listen: call('listen'),
    send: call('send'),
    connect: call('connect'),
    open: call('open'),
    beat: call('beat'),
    listenUdp: call('listenUdp'),
    sendUdp: call('sendUdp'),
    receivedUdp: call('receivedUdp'),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** One echo request; its round trip in milliseconds, null without a reply within a second. */
export async function ping(netns: string, address: string): Promise<number | null> {
  try {
    const output = await run(...inside(netnsFile(netns), 'ping', ['-n', '-c', '1', '-W', '1', address]));
    return Number(/time=([\d.]+) ms/.exec(output)?.[1]);
  } catch (error) {
    // Without a reply, or without a route. Only a host without `ping` is another matter.
    if (error instanceof CommandError && !error.message.includes('failed to execute')) return null;
    throw error;
  }
}
