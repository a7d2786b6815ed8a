// What goes over the wire: RFC 1035, 2181, 6891, 8482, 9619, whatever a client sends.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ask, queryBytes, replyTo, type Server, serverOf } from '../support/dns.ts';

const name = 'web.default.svc.cluster.local';
const many = (count: number) => [
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'many' }, spec: { clusterIP: 'None' } },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'many-1', labels: { 'kubernetes.io/service-name': 'many' } },
    addressType: 'IPv4',
    endpoints: Array.from({ length: count }, (_, i) => ({ addresses: [`10.244.${i >> 8}.${i & 255}`] })),
  },
];
const server: Server = serverOf([
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { clusterIP: '10.96.0.80', ports: [{ name: 'http', port: 80 }] },
  },
  ...many(1000),
]);

/** A query with its header's words changed. */
function changed(words: Readonly<Record<number, number>>): Buffer {
  const bytes = queryBytes({ name });
  for (const [at, value] of Object.entries(words)) bytes.writeUInt16BE(value, Number(at));
  return bytes;
}

describe('what is no query', () => {
  it('gets no word where it has no header, or is a reply', async () => {
    expect(await replyTo(server, Buffer.alloc(0))).toBeUndefined();
    expect(await replyTo(server, queryBytes({ name }).subarray(0, 11))).toBeUndefined();
    expect(await replyTo(server, changed({ 2: 0x8100 }))).toBeUndefined();
  });

  it.each([
    ['no question', changed({ 4: 0 }), 'FORMERR'],
    ['two questions', changed({ 4: 2 }), 'FORMERR'],
    ['an answer', changed({ 6: 1 }), 'FORMERR'],
    ['a question cut off', queryBytes({ name }).subarray(0, 20), 'FORMERR'],
    ['a record cut off', changed({ 10: 1 }), 'FORMERR'],
    ['opcode NOTIFY', changed({ 2: 0x2000 }), 'NOTIMP'],
    ['opcode UPDATE', changed({ 2: 0x2800 }), 'NOTIMP'],
    ['a name that is a pointer', Buffer.from('123401000001000000000000c00c00010001', 'hex'), 'FORMERR'],
    ['a label of another kind', Buffer.from('12340100000100000000000041610000010001', 'hex'), 'FORMERR'],
  ])('is refused: %s', async (_, bytes, rcode) => {
    const reply = await replyTo(server, bytes);
    expect(reply?.rcode).toBe(rcode);
    expect(reply?.packet.header).toMatchObject({ id: 0x1234, qr: 1, ancount: 0 });
  });

  it('is refused: a name of more than 255 octets', async () => {
    const long = Array.from({ length: 4 }, () => 'a'.repeat(63)).join('.');
    const bytes = queryBytes({ name: 'x' });
    const labels = Buffer.concat(long.split('.').map((label) => Buffer.from(`\x3f${label}`, 'latin1')));
    const whole = Buffer.concat([bytes.subarray(0, 12), labels, bytes.subarray(-5)]);
    expect((await replyTo(server, whole))?.rcode).toBe('FORMERR');
  });

  it.each([
    ['AXFR', 'REFUSED'],
    ['IXFR', 'REFUSED'],
    ['TKEY', 'NOTIMP'],
    ['MAILB', 'NOTIMP'],
    ['EDNS', 'FORMERR'],
  ] as const)('is refused: type %s', async (type, rcode) => {
    expect((await ask(server, { name, type })).rcode).toBe(rcode);
  });

  it('is refused: class CHAOS', async () => {
    expect((await ask(server, { name: 'version.bind', type: 'TXT', class: 3 })).rcode).toBe('REFUSED');
  });
});

describe('the question', () => {
  it('comes back with its case, and answers belong to it (draft-vixie-dnsext-dns0x20)', async () => {
    const reply = await ask(server, { name: 'wEb.DeFaUlT.svc.CLUSTER.local' });
    expect(reply.packet.questions[0]?.name).toBe('wEb.DeFaUlT.svc.CLUSTER.local');
    expect(reply.answers).toEqual(['wEb.DeFaUlT.svc.CLUSTER.local A 10.96.0.80']);
  });

  it('with dots inside a label is another name, and comes back byte for byte', async () => {
    const bytes = queryBytes({ name });
    // web.default in one label.
    bytes[12] = 11;
    bytes[16] = '.'.charCodeAt(0);
    const reply = await replyTo(server, bytes);
    expect(reply?.rcode).toBe('NXDOMAIN');
    expect(reply?.bytes.subarray(12, bytes.length)).toEqual(bytes.subarray(12));
  });

  it('with a dot at the end of a label is as long as it is', async () => {
    const bytes = queryBytes({ name });
    bytes[13] = '.'.charCodeAt(0);
    const reply = await replyTo(server, bytes);
    expect(reply?.bytes.subarray(12, bytes.length)).toEqual(bytes.subarray(12));
    expect(reply?.rcode).toBe('NXDOMAIN');
  });

  it('of type ANY is answered with little (RFC 8482)', async () => {
    const reply = await ask(server, { name, type: 'ANY' });
    expect(reply.packet.answers).toMatchObject([{ type: 13, data: Buffer.from('\x07RFC8482\0', 'latin1') }]);
    expect((await ask(server, { name: 'default.svc.cluster.local', type: 'ANY' })).rcode).toBe('NOERROR');
    expect((await ask(server, { name: 'x.default.svc.cluster.local', type: 'ANY' })).rcode).toBe('NXDOMAIN');
  });
});

describe('EDNS (RFC 6891)', () => {
  it('is spoken with those who speak it', async () => {
    expect((await ask(server, { name })).additionals).toEqual([]);
    expect((await ask(server, { name, size: 4096 })).additionals).toEqual(['EDNS 1232 0 -']);
    expect((await ask(server, { name, dnssec: true })).additionals).toEqual(['EDNS 1232 0 do']);
  });

  it('has version 0', async () => {
    const { rcode, additionals, answers } = await ask(server, { name, version: 1 });
    expect({ rcode, additionals, answers }).toEqual({
      rcode: '16',
      additionals: ['EDNS 1232 0 -'],
      answers: [],
    });
  });

  it('options are not echoed, and a cut-off one is an error', async () => {
    const option = (length: number) => {
      const bytes = queryBytes({ name, size: 1232 });
      bytes.writeUInt16BE(8, bytes.length - 2);
      return Buffer.concat([bytes, Buffer.from([0, 10, 0, length, 1, 2, 3, 4])]);
    };
    expect((await replyTo(server, option(4)))?.additionals).toEqual(['EDNS 1232 0 -']);
    expect((await replyTo(server, option(5)))?.rcode).toBe('FORMERR');
  });

  it('more than one OPT, or one with a name, is an error', async () => {
    const bytes = queryBytes({ name, size: 1232 });
    const twice = Buffer.concat([bytes, bytes.subarray(-11)]);
    twice.writeUInt16BE(2, 10);
    expect((await replyTo(server, twice))?.rcode).toBe('FORMERR');
    const named = Buffer.concat([bytes.subarray(0, -11), Buffer.from([1, 120]), bytes.subarray(-11)]);
    expect((await replyTo(server, named))?.rcode).toBe('FORMERR');
  });
});

describe('size', () => {
  const thousand = 'many.default.svc.cluster.local';

  it.each([
    [undefined, 512],
    [100, 512],
    [512, 512],
    [900, 900],
    [1232, 1232],
    [65_535, 1232],
  ])('a datagram has what OPT %s allows, %i bytes, of whole records', async (size, most) => {
    const { bytes, packet, answers } = await ask(server, {
      name: thousand,
      ...(size !== undefined && { size }),
    });
    expect(bytes.length).toBeLessThanOrEqual(most);
    expect(bytes.length).toBeGreaterThan(most - 16);
    expect(packet.header.tc).toBe(1);
    expect(answers.length).toBeGreaterThan(10);
    expect(packet.additionals).toHaveLength(size === undefined ? 0 : 1);
  });

  it('a stream carries all of it, names compressed', async () => {
    const { bytes, packet, answers } = await ask(server, { name: thousand }, 'tcp');
    expect(new Set(answers).size).toBe(1000);
    expect(packet.header.tc).toBe(0);
    expect(bytes.length).toBe(12 + thousand.length + 2 + 4 + 1000 * 16);
  });

  it('a stream carries 65535 bytes at most', async () => {
    const { bytes, packet } = await ask(serverOf(many(5000)), { name: thousand }, 'tcp');
    expect(bytes.length).toBeLessThanOrEqual(65_535);
    expect(packet.header.tc).toBe(1);
  });

  it('additional records that do not fit are no reason to ask again (RFC 2181 §9)', async () => {
    const ports = [{ name: 'http', port: 80 }];
    const hosts = serverOf([
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'h' }, spec: { clusterIP: 'None', ports } },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'h-1', labels: { 'kubernetes.io/service-name': 'h' } },
        addressType: 'IPv4',
        ports,
        endpoints: Array.from({ length: 10 }, (_, i) => ({ addresses: [`10.244.1.${i}`] })),
      },
    ]);
    const reply = await ask(hosts, { name: '_http._tcp.h.default.svc.cluster.local', type: 'SRV' });
    expect(reply.answers).toHaveLength(10);
    expect(reply.additionals.length).toBeLessThan(10);
    expect(reply.packet.header.tc).toBe(0);
  });
});

describe('whatever comes', () => {
  const isSound = async (bytes: Buffer) => {
    const reply = await replyTo(server, Buffer.from(bytes));
    if (bytes.length < 12 || (bytes[2] ?? 0) & 0x80) return reply === undefined;
    return (
      reply !== undefined &&
      reply.packet.header.id === bytes.readUInt16BE(0) &&
      reply.bytes.length <= 1232 &&
      reply.packet.errors.length === 0
    );
  };

  it('garbage is answered soundly or not at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), (bytes) => isSound(Buffer.from(bytes))),
      { numRuns: 3000 },
    );
  });

  it('so are queries with bytes changed', async () => {
    const whole = queryBytes({ name, size: 1232 });
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(changes, fc.nat(whole.length), (list, cut) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of list) bytes[at] = value;
        return isSound(bytes.subarray(0, cut % 3 === 0 ? cut : undefined));
      }),
      { numRuns: 3000 },
    );
  });

  it('any name in any case gets the answer to its lower case', async () => {
    const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/);
    const path = fc.oneof(
      fc.constant('web.default.svc'),
      fc.constant('_http._tcp.web.default.svc'),
      fc.array(label, { maxLength: 5 }).map((list) => list.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(path, fc.infiniteStream(fc.boolean()), async (text, upper) => {
        const lower = [text, 'cluster.local'].filter(Boolean).join('.');
        const mixed = [...lower].map((one) => (upper.next().value ? one.toUpperCase() : one)).join('');
        const [a, b] = [
          await ask(server, { name: lower, type: 'SRV' }),
          await ask(server, { name: mixed, type: 'SRV' }),
        ];
        return a.rcode === b.rcode && a.answers.join().toLowerCase() === b.answers.join().toLowerCase();
      }),
    );
  });
});
