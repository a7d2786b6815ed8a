/**
 * A process inside a pod's network namespace that opens real sockets when it is told to: `node agent.ts`, spoken to over
 * Node's IPC channel (traffic.ts is the other end). It ends with the channel, so nothing of it outlives the lab.
 */
import { createHash } from 'node:crypto';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** Path of this program, as TypeScript or as built. */
export const agentProgram = fileURLToPath(import.meta.url);

/** What `send` sent, and what the far end counted before the connection was closed. */
interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  /** Both ends saw the same bytes in the same order; null where no hash was asked for. */
  readonly intact: boolean | null;
}

/** What has arrived at a UDP port. */
export interface Datagrams {
  readonly received: number;
  /** Those whose content is not what was sent. */
  readonly damaged: number;
  /** Those that came after a later one of the same sender. */
  readonly reordered: number;
}

export interface Operations {
  /**
   * TCP on both families. `sink` counts (and hashes, where the sender asks) all it reads and reports at the sender's end
   * of file; `echo` sends back what it reads.
   */
  listen(options: { port: number; mode: 'sink' | 'echo' }): Promise<null>;
  /** Streams to a sink for some seconds or bytes. */
  send(options: {
    address: string;
    port: number;
    seconds?: number;
    bytes?: number;
    hash?: boolean;
  }): Promise<Transfer>;
  /** One connection attempt; `error` is a code such as ECONNREFUSED, or `timeout`. */
  connect(options: {
    address: string;
    port: number;
    timeoutMs: number;
  }): Promise<{ connected: boolean; error: string | null; ms: number }>;
  /** Opens a connection to an echo port and keeps it; several, where called again. */
  open(options: { address: string; port: number }): Promise<{ connection: number }>;
  /** Sends a line over a kept connection and waits for it to come back. */
  beat(options: { connection: number; timeoutMs: number }): Promise<{ answered: boolean; ms: number }>;
  /** Counts datagrams on both families from now on. */
  listenUdp(options: { port: number }): Promise<null>;
  /** Sends datagrams whose content says what it must be, numbered from `first` (0); sizes are taken in turn. */
  sendUdp(options: {
    address: string;
    port: number;
    sizes: number[];
    first?: number;
    count: number;
    perSecond: number;
  }): Promise<null>;
  /** What the port has received since listenUdp. */
  receivedUdp(options: { port: number }): Promise<Datagrams>;
}

/** Bytes that repeat with a period prime to every packet size, so that misplaced ones show. */
const pattern = Buffer.alloc(1_048_573, 0);
for (let i = 0, x = 0x2545f491; i < pattern.length; i++) {
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  pattern[i] = x;
}

const connections: Socket[] = [];
const udpPorts = new Map<number, { received: number; damaged: number; reordered: number }>();

const operations: Operations = {
  async listen({ port, mode }) {
    const server = createServer({ allowHalfOpen: true }, mode === 'echo' ? echo : sink);
    server.listen(port, '::');
    await once(server, 'listening');
    return null;
  },

  async send({ address, port, seconds, bytes, hash }) {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    await once(socket, 'connect');
    const answered = readAll(socket);
    const digest = hash ? createHash('sha256') : null;
    socket.write(hash ? 'h' : '-');
    const begin = performance.now();
    const end = begin + (seconds ?? Number.POSITIVE_INFINITY) * 1000;
    let sent = 0;
    while (sent < (bytes ?? Number.POSITIVE_INFINITY) && performance.now() < end) {
      const chunk = pattern.subarray(0, Math.min(pattern.length, (bytes ?? Number.POSITIVE_INFINITY) - sent));
      digest?.update(chunk);
      sent += chunk.length;
      if (!socket.write(chunk)) await once(socket, 'drain');
    }
    socket.end();
    const report: { bytes: number; hash: string | null } = JSON.parse(await answered);
    const took = (performance.now() - begin) / 1000;
    const intact = digest ? report.hash === digest.digest('hex') : null;
    return { bytes: report.bytes, seconds: took, intact };
  },

  async connect({ address, port, timeoutMs }) {
    const begin = performance.now();
    const socket = connect({ host: address, port });
    const error = await new Promise<string | null>((resolve) => {
      const timer = setTimeout(() => resolve('timeout'), timeoutMs);
      socket.on('connect', () => resolve(null));
      socket.on('error', (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.message));
      socket.on('close', () => clearTimeout(timer));
    });
    socket.destroy();
    return { connected: error === null, error, ms: performance.now() - begin };
  },

  async open({ address, port }) {
    const socket = connect({ host: address, port, noDelay: true });
    await once(socket, 'connect');
    // A connection that breaks later shows as a beat without an answer.
    socket.on('error', () => socket.destroy());
    return { connection: connections.push(socket) - 1 };
  },

  async beat({ connection, timeoutMs }) {
    const socket = connections[connection];
    if (!socket) throw new Error(`no connection ${connection}`);
    const begin = performance.now();
    const answered = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      socket.once('data', () => {
        clearTimeout(timer);
        resolve(true);
      });
      socket.write('.');
    });
    return { answered, ms: performance.now() - begin };
  },

  async listenUdp({ port }) {
    const count = { received: 0, damaged: 0, reordered: 0 };
    const latest = new Map<string, number>();
    const socket = createSocket({ type: 'udp6', recvBufferSize: 4 << 20 });
    socket.on('message', (datagram, from) => countDatagram(count, latest, datagram, from));
    socket.bind(port, '::');
    await once(socket, 'listening');
    udpPorts.set(port, count);
    return null;
  },

  async sendUdp({ address, port, sizes, first = 0, count, perSecond }) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const begin = performance.now();
    for (let n = 0; n < count; n++) {
      const wait = (n / perSecond) * 1000 - (performance.now() - begin);
      if (wait >= 1) await new Promise((resolve) => setTimeout(resolve, wait));
      const datagram = numbered(first + n, sizes[(first + n) % sizes.length] ?? 0);
      await new Promise<void>((resolve, reject) =>
        socket.send(datagram, port, address, (error) => (error ? reject(error) : resolve())),
      );
    }
    socket.close();
    return null;
  },

  async receivedUdp({ port }) {
    const count = udpPorts.get(port);
    if (!count) throw new Error(`nothing listens on UDP port ${port}`);
    return { ...count };
  },
};

function echo(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}

/** First byte `h` asks for a hash of all that follows. */
function sink(socket: Socket): void {
  let bytes = -1;
  let digest: ReturnType<typeof createHash> | null = null;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const data = bytes < 0 ? chunk.subarray(1) : chunk;
    if (bytes < 0) {
      bytes = 0;
      digest = chunk[0] === 'h'.charCodeAt(0) ? createHash('sha256') : null;
    }
    bytes += data.length;
    digest?.update(data);
  });
  socket.on('end', () => socket.end(JSON.stringify({ bytes, hash: digest?.digest('hex') ?? null })));
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return `${Buffer.concat(chunks)}`;
}

/** A datagram's first four bytes are its number (big endian), the rest is the pattern from there on. */
function numbered(n: number, size: number): Buffer {
  const start = (n * 7919) % (pattern.length - 65_536);
  const datagram = Buffer.from(pattern.subarray(start, start + Math.max(size, 4)));
  datagram.writeUInt32BE(n);
  return datagram;
}

function countDatagram(
  count: { received: number; damaged: number; reordered: number },
  latest: Map<string, number>,
  datagram: Buffer,
  from: RemoteInfo,
): void {
  count.received++;
  const n = datagram.length >= 4 ? datagram.readUInt32BE() : 0;
  if (!numbered(n, datagram.length).equals(datagram)) count.damaged++;
  const sender = `${from.address} ${from.port}`;
  if (n < (latest.get(sender) ?? 0)) count.reordered++;
  latest.set(sender, n);
}

/** One request over the channel, and its answer. */
interface Request {
  readonly id: number;
  readonly operation: keyof Operations;
  readonly options: never;
}
export type Answer = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

async function answer({ id, operation, options }: Request): Promise<void> {
  let reply: Answer;
  try {
    reply = { id, result: await operations[operation](options) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(reply);
}

if (argv[1] === agentProgram) {
  process.on('message', (request: Request) => void answer(request));
  process.on('disconnect', () => process.exit());
}
