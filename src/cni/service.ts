/**
 * The CNI commands as the daemon carries them out. One call is one request of the plugin; where another plugin hands out
 * the addresses, the answer names the command that the plugin must run there:
 *
 *     ADD      202, delegate ADD ──► the same call again, with what it answered ──► result, or error and delegate DEL
 *     others   the answer, and the same command for the delegate
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Turns } from '../daemon/turns.ts';
import { namespaceId } from '../host/netns.ts';
import type { Attachment } from '../ipam/ledger.ts';
import { add, needsDelegate, refuse } from './add.ts';
import { type Call, type DeleteCall, isDelegated, type NetworkConfig, readCall, versionOf } from './call.ts';
import { check, status } from './check.ts';
import { CniError, codes } from './error.ts';
import type { CniParts } from './parts.ts';
import { release } from './release.ts';

export interface CniAnswer {
  /** 200, 202 for "ask again with the delegate's outcome", 422 with an error object. */
  readonly status: 200 | 202 | 422;
  /** What goes to the plugin's standard output. */
  readonly json?: object;
  /** Command that the IPAM plugin must be run with before the call ends. */
  readonly delegate?: string;
}

export class CniService {
  readonly #parts: CniParts;
  readonly #turns = new Turns();

  constructor(parts: CniParts) {
    this.#parts = parts;
  }

  /** @param value body of the plugin's request, as JSON has it */
  async handle(value: unknown): Promise<CniAnswer> {
    let call: Call | undefined;
    try {
      call = readCall(value);
      return await this.#answer(call);
    } catch (error) {
      const failed = call;
      // An address that was handed out for nothing goes back.
      const undo = failed?.command === 'ADD' && failed.delegate !== undefined;
      const forward = failed?.command === 'GC' && isDelegated(failed.config);
      return {
        status: 422,
        json: this.#errorObject(value, error),
        ...((undo || forward) && { delegate: undo ? 'DEL' : 'GC' }),
      };
    }
  }

  /** Takes away what runtimes have deleted while no daemon ran, and said so by a file of that name. */
  async takeNotes(folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const note of readdirSync(folder)) {
      const [containerId = '', name = ''] = note.split('@');
      await this.#inTurn(containerId, name, async () => {
        const attachment = this.#parts.ledger.find(containerId, name);
        if (attachment) await this.#release(attachment);
      });
      rmSync(join(folder, note), { force: true });
    }
  }

  /** Releases what belonged to network namespaces that are gone without a word. */
  async sweep(): Promise<void> {
    for (const attachment of this.#parts.ledger.attachments) {
      if (namespaceId(attachment.netns) === attachment.namespaceId) continue;
      const { containerId, interface: name } = attachment;
      await this.#inTurn(containerId, name, async () => {
        const now = this.#parts.ledger.find(containerId, name);
        if (now !== attachment) return;
        this.#parts.log.warn(
          { containerId, netns: attachment.netns },
          'the namespace of a container is gone',
        );
        await this.#release(attachment);
      });
    }
  }

  async #answer(call: Call): Promise<CniAnswer> {
    const { config } = call;
    const delegate = isDelegated(config) ? { delegate: call.command } : {};
    switch (call.command) {
      case 'ADD':
        if (needsDelegate(call)) {
          refuse(call, this.#parts);
          return { status: 202, delegate: 'ADD' };
        }
        return { status: 200, json: await this.#turn(call, () => add(call, this.#parts)) };
      case 'DEL':
        await this.#turn(call, () => this.#delete(call));
        return { status: 200, ...delegate };
      case 'CHECK':
        await this.#turn(call, () => check(call, this.#parts));
        return { status: 200, ...delegate };
      case 'STATUS':
        status(config, this.#parts);
        return { status: 200, ...delegate };
      case 'GC':
        await this.#collect(config);
        return { status: 200, ...delegate };
    }
  }

  async #delete({ containerId, netns, interface: name }: DeleteCall): Promise<void> {
    const { ledger, ports, controller } = this.#parts;
    const attachment = ledger.find(containerId, name);
    if (attachment) return this.#release(attachment);
    if (netns === undefined || namespaceId(netns) === undefined) return;
    // Nothing is known of it: what stands there under that name goes all the same.
    const port = ports.at(netns, name);
    if (port) await ports.detach(`${port.namespace}/${port.pod}`, controller);
    else this.#deleteTap({ netns, interface: name });
  }

  async #collect(config: NetworkConfig): Promise<void> {
    const listed = config['cni.dev/valid-attachments'] ?? config['cni.dev/attachments'];
    // Without a list nothing is known to be stale but what has lost its namespace.
    await this.sweep();
    if (!listed) return;
    const valid = new Set(listed.map(({ containerID, ifname }) => `${containerID}@${ifname}`));
    const failures: string[] = [];
    for (const attachment of this.#parts.ledger.attachments) {
      const { containerId, interface: name, network } = attachment;
      if (network !== config.name || valid.has(`${containerId}@${name}`)) continue;
      try {
        await this.#inTurn(containerId, name, () => this.#release(attachment));
      } catch (error) {
        failures.push(`${containerId} ${name}: ${(error as Error).message}`);
      }
    }
    if (failures.length > 0) {
      throw new CniError(codes.internal, 'some attachments cannot be collected', failures.join('; '));
    }
  }

  /** First out of the data path, then free for others. Repeatable. */
  async #release(attachment: Attachment): Promise<void> {
    const { ports, controller } = this.#parts;
    const port = ports.at(attachment.netns, attachment.interface);
    const isHere = namespaceId(attachment.netns) === attachment.namespaceId;
    if (port && isHere) await ports.detach(`${port.namespace}/${port.pod}`, controller);
    else if (isHere) this.#deleteTap(attachment);
    else await ports.sweep(controller);
    await release(attachment, this.#parts);
  }

  #deleteTap(place: { readonly netns: string; readonly interface: string }): void {
    try {
      this.#parts.ports.deleteTap(place);
    } catch (error) {
      // What is no TAP is not Overweft's.
      if (!['EINVAL', 'EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }

  #turn<T>(
    call: { readonly containerId: string; readonly interface: string },
    work: () => Promise<T>,
  ): Promise<T> {
    return this.#inTurn(call.containerId, call.interface, work);
  }

  #inTurn<T>(containerId: string, name: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(`${containerId}@${name}`, work);
  }

  #errorObject(value: unknown, error: unknown): object {
    if (!(error instanceof CniError)) this.#parts.log.error({ err: error }, 'a CNI command fails');
    const known = error instanceof CniError ? error : new CniError(codes.internal, (error as Error).message);
    return { cniVersion: versionOf(value), code: known.code, msg: known.message, details: known.details };
  }
}
