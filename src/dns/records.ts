// Records as the message library takes them: names and addresses as text, TTLs in seconds.
import { Packet, type Resource } from 'dns2';

export type { Resource };

/** Types by name (IANA DNS parameters), those that the library does not know among them. */
export const TYPE = { ...Packet.TYPE, HINFO: 13, OPT: 41, TSIG: 250, IXFR: 251 } as const;
export const CLASS_IN = Packet.CLASS.IN;
export const RCODE = Packet.RCODE;
/** DNSSEC OK: a bit of the TTL of an OPT record (RFC 6891 §6.1.3). */
export const DO = 0x8000;

/** What can be written of a record: the library's own type demands a method that it adds itself. */
const record = (name: string, type: number, ttl: number, data: Partial<Resource>): Resource =>
  ({ name, type, class: CLASS_IN, ttl, ...data }) as Resource;

export const addressRecord = (name: string, family: 4 | 6, address: string, ttl: number): Resource =>
  record(name, family === 4 ? TYPE.A : TYPE.AAAA, ttl, { address });

export const ptrRecord = (name: string, domain: string, ttl: number) =>
  record(name, TYPE.PTR, ttl, { domain });
export const cnameRecord = (name: string, domain: string, ttl: number) =>
  record(name, TYPE.CNAME, ttl, { domain });
export const nsRecord = (name: string, ns: string, ttl: number) => record(name, TYPE.NS, ttl, { ns });
export const txtRecord = (name: string, data: string, ttl: number) => record(name, TYPE.TXT, ttl, { data });

export const srvRecord = (name: string, port: number, target: string, weight: number, ttl: number) =>
  record(name, TYPE.SRV, ttl, { priority: 0, weight, port, target });

/** @param ttl also that of negative answers (RFC 2308 §4) */
export const soaRecord = (name: string, primary: string, admin: string, serial: number, ttl: number) =>
  record(name, TYPE.SOA, ttl, {
    primary,
    admin,
    serial,
    refresh: 7200,
    retry: 1800,
    expiration: 86_400,
    minimum: ttl,
  });

/** What stands for everything where a client asks for ANY (RFC 8482 §4.2): HINFO with CPU "RFC8482" and no OS. */
export const anyRecord = (name: string, ttl: number) =>
  record(name, TYPE.HINFO, ttl, { data: Buffer.from('\x07RFC8482\0', 'latin1') });
