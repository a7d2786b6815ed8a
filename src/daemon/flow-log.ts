/**
 * The flow log: events that the workers write about connections, as JSON lines in a file (docs/flow-log.md).
 *
 *     worker's ring ── every 200 ms ──► names of pods, policies and rules ──► appended to the file of that name
 *
 * Nothing here holds up a packet: a ring that is full loses events, and so does a disk that is; both are counted.
 */
import { appendFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import {
  CLOSED_EVICTED,
  CLOSED_EXPIRED,
  CLOSED_FINISHED,
  CLOSED_RESET,
  EVENT_BYTES_FORWARD,
  EVENT_BYTES_REVERSE,
  EVENT_CELL,
  EVENT_CLOSED,
  EVENT_DENIED,
  EVENT_DESTINATION,
  EVENT_DPORT,
  EVENT_FPORT,
  EVENT_FRONTEND,
  EVENT_KIND,
  EVENT_OPENED,
  EVENT_PACKETS_FORWARD,
  EVENT_PACKETS_REVERSE,
  EVENT_PROTOCOL,
  EVENT_REASON,
  EVENT_SIZE,
  EVENT_SOURCE,
  EVENT_SPORT,
  EVENT_TIME,
  EVENT_VERDICT,
  EVENTS,
} from '../../asm/layout/events.ts';
import {
  CONTROL_EVENTS,
  WORKER_EVENT_HEAD,
  WORKER_EVENT_TAIL,
  WORKER_EVENTS,
} from '../../asm/layout/memory.ts';
import { POLICY_CELL_DECISION } from '../../asm/layout/tables.ts';
import { clock } from '../dataplane/clock.ts';
import { type Memory, workerBase } from '../dataplane/memory.ts';
import { verdictNames } from '../dataplane/statistics.ts';
import { fromBytes } from '../net/address.ts';
import type { Decision } from '../policy/compiled.ts';
import type { Controller } from './controller.ts';

/** Between two looks at the rings, which hold some thousand events each. */
const DRAIN_MS = 200;

const kinds: Readonly<Record<number, string>> = {
  [EVENT_OPENED]: 'opened',
  [EVENT_DENIED]: 'denied',
  [EVENT_CLOSED]: 'closed',
};
const reasons: Readonly<Record<number, string>> = {
  [CLOSED_FINISHED]: 'finished',
  [CLOSED_RESET]: 'reset',
  [CLOSED_EXPIRED]: 'expired',
  [CLOSED_EVICTED]: 'evicted',
};
const protocols: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
};

/** A log for the operator, not for everybody: it tells who talks to whom. */
const MODE = 0o640;

interface End {
  readonly ip: string;
  readonly port?: number;
  /** Who has the address, where that is known. */
  readonly pod?: string;
  readonly node?: string;
}

/** Where the source knocked, and which Service has that address and port now. */
interface FrontendEnd {
  readonly ip: string;
  readonly port: number;
  readonly service?: string;
  readonly portName?: string;
}

interface FlowLogParts {
  readonly node: string;
  readonly workers: number;
  readonly file: string;
  readonly memory: Memory;
  readonly controller: Pick<Controller, 'live' | 'decisions'>;
  readonly log: Logger;
}

export class FlowLog {
  readonly #parts: FlowLogParts;
  readonly #timer: NodeJS.Timeout;
  /** Those that were told of, by number: connections outlive the tables that admitted them. */
  readonly #decisions = new Map<number, Decision>();
  #writing: Promise<void> | undefined;
  #isFailing = false;
  #unwritten = 0;

  /** Has the workers write events from now on. @throws where the file cannot be written */
  constructor(parts: FlowLogParts) {
    this.#parts = parts;
    appendFileSync(parts.file, '', { mode: MODE });
    parts.memory.words[CONTROL_EVENTS / 4] = 1;
    this.#timer = setInterval(() => void this.drain(), DRAIN_MS);
  }

  get file(): string {
    return this.#parts.file;
  }

  /** Events that were read from the rings and could not be written. */
  get unwritten(): number {
    return this.#unwritten;
  }

  /** Writes what the rings hold. While the disk is slow they fill. */
  drain(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Writes what is left; the workers have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.drain();
  }

  async #write(): Promise<void> {
    const { file, log, workers } = this.#parts;
    const lines = Array.from({ length: workers }, (_, worker) => this.#read(worker)).flat();
    if (lines.length === 0) return;
    try {
      // By name each time: whoever renames the file finds the next lines in a new one.
      await appendFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: MODE });
      this.#isFailing = false;
    } catch (error) {
      this.#unwritten += lines.length;
      if (!this.#isFailing) log.error({ err: error, file }, 'the flow log cannot be written');
      this.#isFailing = true;
    }
  }

  /** What decided; of a number that is no longer in use what it last stood for here. */
  #decision(number: number): Decision | undefined {
    const decision = this.#parts.controller.decisions.get(number) ?? this.#decisions.get(number);
    if (decision) this.#decisions.set(number, decision);
    return decision;
  }

  /** Takes all events out of a worker's ring. */
  #read(worker: number): object[] {
    const { memory } = this.#parts;
    const base = workerBase(worker);
    const head = Atomics.load(memory.words, (base + WORKER_EVENT_HEAD) / 4);
    let tail = Atomics.load(memory.words, (base + WORKER_EVENT_TAIL) / 4);
    const events: object[] = [];
    const [wall, now] = [Date.now(), clock()];
    for (; tail !== head; tail = (tail + 1) >>> 0) {
      const at = base + WORKER_EVENTS + (tail & (EVENTS - 1)) * EVENT_SIZE;
      const age = (now - memory.view.getUint32(at + EVENT_TIME, true) + 2 ** 32) % 2 ** 32;
      // An event of the present millisecond can seem to lie ahead.
      events.push(this.#event(at, wall - (age > 2 ** 31 ? 0 : age)));
    }
    Atomics.store(memory.words, (base + WORKER_EVENT_TAIL) / 4, tail);
    return events;
  }

  #event(at: number, time: number): object {
    const { bytes, view } = this.#parts.memory;
    const count = (field: number) => Number(view.getBigUint64(at + field, true));
    const kind = bytes[at + EVENT_KIND] as number;
    const protocol = bytes[at + EVENT_PROTOCOL] as number;
    const cell = view.getUint32(at + EVENT_CELL, true);
    const decision = this.#decision(cell & POLICY_CELL_DECISION);
    const [sport, dport] = [view.getUint16(at + EVENT_SPORT, true), view.getUint16(at + EVENT_DPORT, true)];
    const hasPorts = protocol === 6 || protocol === 17 || protocol === 132;
    const fport = view.getUint16(at + EVENT_FPORT, true);
    const isEcho = (protocol === 1 || protocol === 58) && kind !== EVENT_DENIED;
    return {
      time: new Date(time).toISOString(),
      node: this.#parts.node,
      event: kinds[kind],
      source: this.#end(at + EVENT_SOURCE, hasPorts ? sport : undefined),
      destination: this.#end(at + EVENT_DESTINATION, hasPorts ? dport : undefined),
      protocol: protocols[protocol] ?? `${protocol}`,
      ...(fport > 0 && { frontend: this.#frontend(at + EVENT_FRONTEND, fport, protocol) }),
      ...(isEcho && { identifier: sport }),
      verdict: kind === EVENT_DENIED ? verdictNames[view.getUint32(at + EVENT_VERDICT, true)] : 'forward',
      ...(decision && {
        direction: decision.direction,
        tier: decision.tier,
        policies: decision.policies,
        rule: decision.rule,
        name: decision.name,
      }),
      ...(kind === EVENT_DENIED && { packets: count(EVENT_PACKETS_FORWARD) }),
      ...(kind === EVENT_CLOSED && {
        reason: reasons[bytes[at + EVENT_REASON] as number],
        sent: { packets: count(EVENT_PACKETS_FORWARD), bytes: count(EVENT_BYTES_FORWARD) },
        received: { packets: count(EVENT_PACKETS_REVERSE), bytes: count(EVENT_BYTES_REVERSE) },
      }),
    };
  }

  #frontend(at: number, port: number, protocol: number): FrontendEnd {
    const address = fromBytes(this.#parts.memory.bytes.slice(at, at + 16));
    const name = protocols[protocol];
    const claim =
      name === 'TCP' || name === 'UDP' || name === 'SCTP'
        ? this.#parts.controller.live?.desired.services.frontends.find(name, address, port)
        : undefined;
    return {
      ip: address.text,
      port,
      ...(claim && { service: claim.port.service, portName: claim.port.name }),
    };
  }

  #end(at: number, port: number | undefined): End {
    const ip = fromBytes(this.#parts.memory.bytes.slice(at, at + 16)).text;
    const owner = this.#parts.controller.live?.desired.endpoints.get(ip);
    return {
      ip,
      ...(port !== undefined && { port }),
      ...(owner && ('pod' in owner ? { pod: owner.pod.key } : { node: owner.node })),
    };
  }
}
