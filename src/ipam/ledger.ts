/**
 * The attachments of this node's pods with their addresses, in one file: what is handed out and to whom cannot disagree.
 *
 *     reserve ──► file ──► TAP, tables ──► the runtime's answer        a kill leaves a record too many,
 *     release ◄── file ◄── TAP, tables ◄── DEL, GC, a lost namespace   never an address handed out twice
 *
 * The file is replaced as a whole before anything else happens. It is tied to one boot of the host: after another no
 * network namespace of before is left, so all its addresses are released.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { addressField, macField, pathField, portField } from '../config/fields.ts';
import type { Address } from '../net/address.ts';
import { formatMac } from '../net/mac.ts';
import type { Prefix } from '../net/prefix.ts';
import { AddressError, isInQuarantine } from './error.ts';
import { capacity, isForPods, nextFree } from './pool.ts';

const hostPort = z.object({
  protocol: z.enum(['TCP', 'UDP', 'SCTP']),
  hostIP: addressField.optional(),
  hostPort: portField,
  containerPort: portField,
});

const attachment = z.object({
  network: z.string(),
  containerId: z.string(),
  interface: z.string(),
  namespace: z.string(),
  pod: z.string(),
  /** UID of the Pod object that the runtime named. */
  uid: z.string().optional(),
  netns: pathField,
  /** Inode of the namespace: a file of the same name may come to stand for another. */
  namespaceId: z.number(),
  /** Requested by the runtime; derived from the addresses otherwise. */
  mac: macField.optional(),
  addresses: z.array(addressField),
  /** Ports of the node that lead to it; a ledger of an earlier version has none. */
  hostPorts: z.array(hostPort).default([]),
});

/** A container's interface on a network; CNI identifies it by container and interface name. */
export type Attachment = z.output<typeof attachment>;

const ledgerFile = z.object({
  /** Boot of the host in which this was written. */
  boot: z.string(),
  attachments: z.array(attachment),
  /** Released addresses and when, in seconds since the boot. */
  released: z.array(z.object({ address: addressField, at: z.number() })),
  /** Offset handed out last, by block. */
  last: z.record(z.string(), z.number()),
});

type State = z.output<typeof ledgerFile>;

export interface LedgerParts {
  readonly path: string;
  /** Identifies this boot of the host. */
  readonly boot: string;
  /** Seconds since the boot. */
  readonly now: () => number;
  /** Seconds for which a released address is not handed out again. */
  readonly quarantine: number;
}

/** What a new attachment is to have. */
export interface Wanted {
  /** Blocks of this node, one address from each. */
  readonly blocks: readonly Prefix[];
  /** In place of one from the block of its family. */
  readonly requested: readonly Address[];
  /** Likewise, but only where they are free. */
  readonly preferred?: readonly Address[];
  readonly owner: Owner;
}

/** Who has an address that no attachment has; undefined: nobody. */
export type Owner = (address: Address) => string | undefined;

/** How full a range is. */
export interface PoolUse {
  readonly range: string;
  /** How many pods it has room for. */
  readonly capacity: number;
  /** By attachments of container runtimes. */
  readonly used: number;
  /** Released a moment ago. */
  readonly quarantined: number;
}

export class Ledger {
  readonly #parts: LedgerParts;
  #state: State;

  /** @throws Error naming the file where it is damaged: what it held may be in use */
  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.#state = this.#read();
  }

  /** In the order in which they were made; another array after each change. */
  get attachments(): readonly Attachment[] {
    return this.#state.attachments;
  }

  find(containerId: string, interfaceName: string): Attachment | undefined {
    return this.attachments.find((one) => one.containerId === containerId && one.interface === interfaceName);
  }

  /**
   * Hands out an address from each block and records the attachment.
   * @throws AddressError
   */
  reserve(who: Omit<Attachment, 'addresses'>, wanted: Wanted): Attachment {
    for (const address of wanted.requested) this.#requireFree(address, wanted);
    const free = (wanted.preferred ?? []).filter((address) => this.#isFree(address, wanted));
    const given = new Map([...free, ...wanted.requested].map((address) => [address.family, address]));
    const last = { ...this.#state.last };
    const chosen = wanted.blocks
      .filter((block) => !given.has(block.address.family))
      .map((block): Address => {
        const next = this.#next(block, wanted.owner);
        if (!next) throw this.#usedUp(block);
        last[block.text] = next.offset;
        return next.address;
      });
    const all = [...wanted.requested, ...given.values(), ...chosen];
    // The node's first range is the family that pods prefer.
    const order = (address: Address) => wanted.blocks.findIndex((block) => isForPods(block, address));
    const addresses = [...new Map(all.map((address) => [address.text, address])).values()];
    return this.#add({ ...who, addresses: addresses.sort((a, b) => order(a) - order(b)) }, last);
  }

  /** Why no attachment can have an address from each block; undefined where one can. */
  fault(blocks: readonly Prefix[], owner: Owner): AddressError | undefined {
    const full = blocks.find((block) => !this.#next(block, owner));
    return full && this.#usedUp(full);
  }

  /**
   * Records an attachment whose addresses another plugin has handed out.
   * @throws AddressError where one is taken
   */
  record(made: Attachment, owner: Owner): Attachment {
    for (const address of made.addresses) this.#requireUntaken(address, owner);
    return this.#add(made, this.#state.last);
  }

  /** Forgets an attachment; its addresses rest for a while, unless no packet can have borne them. */
  release(gone: Attachment, wasLive = true): void {
    const at = this.#parts.now();
    const resting = wasLive ? gone.addresses.map((address) => ({ address, at })) : [];
    this.#write({
      ...this.#state,
      attachments: this.attachments.filter((one) => one !== gone),
      released: [...this.#resting(), ...resting],
    });
  }

  use(block: Prefix): PoolUse {
    const count = (addresses: readonly Address[]) =>
      addresses.filter((address) => isForPods(block, address)).length;
    return {
      range: block.text,
      capacity: capacity(block),
      used: count(this.attachments.flatMap(({ addresses }) => addresses)),
      quarantined: count(this.#resting().map(({ address }) => address)),
    };
  }

  #next(block: Prefix, owner: Owner) {
    const used = new Set(this.attachments.flatMap(({ addresses }) => addresses.map(({ text }) => text)));
    const waiting = this.#quarantined();
    return nextFree(
      block,
      this.#state.last[block.text] ?? 0,
      (address) => !used.has(address.text) && !waiting.has(address.text) && owner(address) === undefined,
    );
  }

  #isFree(address: Address, wanted: Wanted): boolean {
    try {
      this.#requireFree(address, wanted);
      return true;
    } catch (error) {
      if (error instanceof AddressError) return false;
      throw error;
    }
  }

  #requireFree(address: Address, { blocks, owner }: Wanted): void {
    if (!blocks.some((block) => isForPods(block, address))) {
      const ranges = blocks.map(({ text }) => text).join(', ') || 'none';
      throw new AddressError(
        'unusable',
        `${address.text}: is not for pods of this node, whose ranges are ${ranges}`,
      );
    }
    this.#requireUntaken(address, owner);
    const seconds = this.#quarantined().get(address.text);
    if (seconds !== undefined) throw isInQuarantine(address.text, seconds);
  }

  #requireUntaken(address: Address, owner: Owner): void {
    const other = this.attachments.find(({ addresses }) =>
      addresses.some(({ text }) => text === address.text),
    );
    const name = other ? `pod ${other.namespace}/${other.pod}` : owner(address);
    if (name !== undefined) throw new AddressError('taken', `${address.text}: is taken by ${name}`);
  }

  #usedUp(block: Prefix): AddressError {
    const resting = this.#resting().filter(({ address }) => isForPods(block, address));
    if (resting.length > 0) {
      const { now, quarantine } = this.#parts;
      const seconds = Math.min(...resting.map(({ at }) => at)) + quarantine - now();
      return isInQuarantine(`every free address of ${block.text}`, seconds);
    }
    const text = `every address for pods is in use, ${capacity(block)} in all`;
    return new AddressError('used up', `${block.text}: ${text}`);
  }

  /** Seconds left, by address. */
  #quarantined(): Map<string, number> {
    const end = this.#parts.quarantine - this.#parts.now();
    return new Map(this.#resting().map(({ address, at }) => [address.text, at + end]));
  }

  #resting(): State['released'] {
    const { now, quarantine } = this.#parts;
    const begin = now() - quarantine;
    return this.#state.released.filter(({ at }) => at > begin);
  }

  #add(made: Attachment, last: State['last']): Attachment {
    this.#write({
      ...this.#state,
      attachments: [...this.attachments, made],
      released: this.#resting(),
      last,
    });
    return made;
  }

  #read(): State {
    const { path, boot, now } = this.#parts;
    const empty: State = { boot, attachments: [], released: [], last: {} };
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return empty;
      throw error;
    }
    let state: State;
    try {
      state = ledgerFile.parse(JSON.parse(text));
    } catch (error) {
      throw new Error(
        `${path} is damaged: ${(error as Error).message}: remove it when no pod of this node is left`,
      );
    }
    if (state.boot === boot) return state;
    // Nothing of another boot is left but what others may remember of it.
    const at = now();
    const before = [
      ...state.attachments.flatMap(({ addresses }) => addresses),
      ...state.released.map(({ address }) => address),
    ];
    return { ...empty, released: before.map((address) => ({ address, at })), last: state.last };
  }

  /** Replaces the file: a reader, and a daemon that was killed, sees the old state or the new one. */
  #write(state: State): void {
    const { path } = this.#parts;
    const texts = (addresses: readonly Address[]) => addresses.map(({ text }) => text);
    const image = {
      ...state,
      attachments: state.attachments.map(({ mac, addresses, hostPorts, ...rest }) => ({
        ...rest,
        ...(mac && { mac: formatMac(mac) }),
        addresses: texts(addresses),
        hostPorts: hostPorts.map(({ hostIP, ...ports }) => ({
          ...ports,
          ...(hostIP && { hostIP: hostIP.text }),
        })),
      })),
      released: state.released.map(({ address, at }) => ({ address: address.text, at })),
    };
    writeFileSync(`${path}.new`, `${JSON.stringify(image)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.#state = state;
  }
}
