// What this cluster does not know, asked of real name servers on loopback that behave well and badly.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { FLAG_TC } from '../../src/dns/message.ts';
import { address } from '../../src/net/address.ts';
import { ask, queryBytes, replyTo, serverOf } from '../support/dns.ts';
import { a, answerTo, type Behaviour, nameServer, soa } from '../support/dns-upstream.ts';

const name = 'www.example.com';
const good: Behaviour = (query) =>
  answerTo(query, { answers: [a(query.questions[0]?.name ?? '', '192.0.2.1')] });
/** Milliseconds, where nobody is going to answer. */
const short = { patience: 100, timeout: 500 };
const silent: Behaviour = () => undefined;
const items = [
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'outside' },
    spec: { type: 'ExternalName', externalName: 'www.example.com.' },
  },
];

async function withServers(behaviours: readonly Behaviour[], times?: { patience: number; timeout: number }) {
  const upstreams = await Promise.all(behaviours.map((one) => nameServer(one)));
  const server = serverOf(items, {}, times);
  server.forwarder.upstreams = upstreams;
  const counters = () => server.statistics.counters(server.forwarder.cached);
  const close = () => Promise.all(upstreams.map((one) => one[Symbol.asyncDispose]()));
  return { server, upstreams, counters, [Symbol.asyncDispose]: async () => void (await close()) };
}

describe('an upstream', () => {
  it('is asked, its answer passed on with the id, the case and the OPT of the client', async () => {
    await using world = await withServers([good]);
    const reply = await ask(world.server, { name: 'WWW.example.COM', id: 77, size: 1232 });
    expect(reply).toMatchObject({
      rcode: 'NOERROR',
      answers: ['WWW.example.COM A 192.0.2.1'],
      additionals: ['EDNS 1232 0 -'],
    });
    expect(reply.packet.header).toMatchObject({ id: 77, aa: 0, ra: 1 });
    expect((await ask(world.server, { name })).additionals).toEqual([]);
  });

  it.each([
    'cluster.local',
    'x.cluster.local',
    'a.b.svc.cluster.local',
    '9.9.96.10.in-addr.arpa',
    '1.244.10.in-addr.arpa',
    'default.pod.cluster.local',
  ])('is never asked about %s', async (own) => {
    await using world = await withServers([good]);
    await ask(world.server, { name: own, type: 'TXT' });
    expect(world.upstreams[0]?.asked).toEqual([]);
  });

  it.each([
    '1.2.0.192.in-addr.arpa',
    '10.in-addr.arpa',
    'local',
    'xcluster.local',
    'cluster.local.example.com',
  ])('is asked about %s', async (other) => {
    await using world = await withServers([good]);
    expect((await ask(world.server, { name: other })).rcode).toBe('NOERROR');
    expect(world.upstreams[0]?.asked).toHaveLength(1);
  });

  it('over IPv6 is one, too', async () => {
    await using upstream = await nameServer(good, '::1');
    const server = serverOf(items);
    server.forwarder.upstreams = [upstream];
    expect((await ask(server, { name })).answers).toEqual([`${name} A 192.0.2.1`]);
  });

  it('is asked over TCP where the answer is truncated', async () => {
    const long: Behaviour = (query, transport) =>
      transport === 'udp'
        ? answerTo(query, { header: { tc: 1 } })
        : answerTo(query, { answers: Array.from({ length: 300 }, (_, i) => a(name, `192.0.2.${i & 255}`)) });
    await using world = await withServers([long]);
    expect((await ask(world.server, { name }, 'tcp')).answers).toHaveLength(300);
    const small = await ask(world.server, { name, size: 512 });
    expect(small.bytes.readUInt16BE(2) & FLAG_TC).toBe(FLAG_TC);
    expect(small.bytes.length).toBeLessThanOrEqual(512);
    expect(world.upstreams[0]?.asked).toEqual([`udp ${name} 1`, `tcp ${name} 1`]);
  });

  it('is asked without EDNS where it does not know it (RFC 6891 §7)', async () => {
    const old: Behaviour = (query) =>
      query.additionals.length > 0 ? answerTo(query, { header: { rcode: 1 } }) : good(query, 'udp');
    await using world = await withServers([old]);
    expect((await ask(world.server, { name, size: 1232 })).rcode).toBe('NOERROR');
  });

  it('is not believed with another id, another question, or as a query', async () => {
    const liar: Behaviour = (query) => [
      answerTo(query, { header: { id: query.header.id ^ 1 }, answers: [a(name, '192.0.2.66')] }),
      answerTo(query, { name: 'evil.example', answers: [a(name, '192.0.2.66')] }),
      answerTo(query, { header: { qr: 0 }, answers: [a(name, '192.0.2.66')] }),
      Buffer.from('rubbish'),
      answerTo(query, { answers: [a(name, '192.0.2.1')] }),
    ];
    await using world = await withServers([liar]);
    expect((await ask(world.server, { name })).answers).toEqual([`${name} A 192.0.2.1`]);
  });

  it('is not believed from another port', async () => {
    const stranger = createSocket('udp4');
    const port = Promise.withResolvers<number>();
    await using _upstream = await nameServer(silent);
    const proxy = createSocket('udp4');
    proxy.bind(0, '127.0.0.1');
    await once(proxy, 'listening');
    proxy.on('message', (message, from) => {
      port.resolve(from.port);
      const forged = Buffer.from(message);
      forged.writeUInt16BE(0x8180, 2);
      stranger.send(forged, from.port, '127.0.0.1');
    });
    const server = serverOf(items, {}, short);
    server.forwarder.upstreams = [{ address: address('127.0.0.1'), port: proxy.address().port }];
    expect((await ask(server, { name })).rcode).toBe('SERVFAIL');
    expect(await port.promise).toBeGreaterThan(0);
    stranger.close();
    proxy.close();
  });

  it('gets DO and CD of the client, nothing else of its OPT', async () => {
    const seen: { size: number; dnssec: unknown; cd: number }[] = [];
    await using world = await withServers([
      (query) => {
        const [opt] = query.additionals;
        seen.push({
          size: opt?.class ?? 0,
          dnssec: opt?.doFlag,
          cd: (query.header as unknown as { cd: number }).cd,
        });
        return good(query, 'udp');
      },
    ]);
    const bytes = queryBytes({ name, size: 4000, dnssec: true });
    bytes.writeUInt16BE(0x0110, 2);
    expect((await replyTo(world.server, bytes))?.additionals).toEqual(['EDNS 1232 0 do']);
    await ask(world.server, { name });
    expect(seen).toEqual([
      { size: 1232, dnssec: true, cd: 1 },
      { size: 0, dnssec: undefined, cd: 0 },
    ]);
  });
});

describe('where upstreams fail', () => {
  it('the next is asked while the first is silent, which then comes last', async () => {
    await using world = await withServers([silent, good]);
    expect((await ask(world.server, { name })).rcode).toBe('NOERROR');
    expect((await ask(world.server, { name: 'other.example' })).rcode).toBe('NOERROR');
    expect(world.upstreams.map(({ asked }) => asked.length)).toEqual([1, 2]);
    expect(Object.values(world.counters().forwarded.failures)).toEqual([1]);
  });

  it.each([2, 4, 5])('the next is asked where the first says rcode %i', async (rcode) => {
    await using world = await withServers([(query) => answerTo(query, { header: { rcode } }), good]);
    expect((await ask(world.server, { name })).rcode).toBe('NOERROR');
  });

  it('the next is asked where nothing listens', async () => {
    await using world = await withServers([good]);
    const [upstream] = world.upstreams;
    const gone = await nameServer(good);
    await gone[Symbol.asyncDispose]();
    if (upstream) world.server.forwarder.upstreams = [gone, upstream];
    expect((await ask(world.server, { name })).rcode).toBe('NOERROR');
  });

  it('a client hears SERVFAIL, or the rcode of an upstream that said one', async () => {
    await using none = await withServers([silent, silent], short);
    expect((await ask(none.server, { name })).rcode).toBe('SERVFAIL');
    await using refusing = await withServers([(query) => answerTo(query, { header: { rcode: 5 } })]);
    expect((await ask(refusing.server, { name })).rcode).toBe('REFUSED');
    expect((await ask(serverOf(items), { name })).rcode).toBe('SERVFAIL');
  });

  it('the same question is not asked again at once (RFC 9520)', async () => {
    await using world = await withServers([(query) => answerTo(query, { header: { rcode: 2 } })]);
    await ask(world.server, { name });
    const before = world.upstreams[0]?.asked.length;
    expect((await ask(world.server, { name })).rcode).toBe('SERVFAIL');
    expect(world.upstreams[0]?.asked.length).toBe(before);
  });
});

describe('the cache', () => {
  it('answers again, whatever the case, without the upstream', async () => {
    await using world = await withServers([good]);
    for (const one of [name, 'WWW.EXAMPLE.com', name])
      expect((await ask(world.server, { name: one })).answers).toHaveLength(1);
    expect(world.upstreams[0]?.asked).toHaveLength(1);
    expect(world.counters().cache).toEqual({ hits: 2, misses: 1, entries: 1 });
  });

  it('asks once for many clients at the same time', async () => {
    await using world = await withServers([good]);
    const replies = await Promise.all(Array.from({ length: 50 }, (_, id) => ask(world.server, { name, id })));
    expect(replies.map(({ packet }) => packet.header.id)).toEqual(replies.map((_, id) => id));
    expect(world.upstreams[0]?.asked).toHaveLength(1);
  });

  it('keeps apart types, and answers with and without DNSSEC', async () => {
    await using world = await withServers([good]);
    await ask(world.server, { name });
    await ask(world.server, { name, type: 'AAAA' });
    await ask(world.server, { name, dnssec: true });
    expect(world.upstreams[0]?.asked).toHaveLength(3);
  });

  it.each([
    ['NXDOMAIN with a SOA', { header: { rcode: 3 }, authorities: [soa('example.com', 60)] }, 1],
    ['no data with a SOA', { authorities: [soa('example.com', 60)] }, 1],
    ['NXDOMAIN without a SOA', { header: { rcode: 3 } }, 2],
    ['a SOA whose minimum is 0', { header: { rcode: 3 }, authorities: [soa('example.com', 0)] }, 2],
    ['a TTL of 0', { answers: [a(name, '192.0.2.1', 0)] }, 2],
  ])('%s: two queries', async (_, fields, times) => {
    await using world = await withServers([(query) => answerTo(query, fields)]);
    const [first, second] = [await ask(world.server, { name }), await ask(world.server, { name })];
    expect(second.rcode).toBe(first.rcode);
    expect(second.authorities).toEqual(first.authorities);
    expect(world.upstreams[0]?.asked).toHaveLength(times);
  });
});

describe('ExternalName', () => {
  const outside = 'outside.default.svc.cluster.local';

  it('is followed upstream', async () => {
    await using world = await withServers([good]);
    const { answers, packet } = await ask(world.server, { name: outside });
    expect(answers).toEqual([`${outside} CNAME ${name}`, `${name} A 192.0.2.1`]);
    expect(packet.header.aa).toBe(1);
    expect(world.upstreams[0]?.asked).toEqual([`udp ${name} 1`]);
  });

  it('says of a name that does not exist that it does not (RFC 6604)', async () => {
    await using world = await withServers([
      (query) => answerTo(query, { header: { rcode: 3 }, authorities: [soa('example.com', 60)] }),
    ]);
    const reply = await ask(world.server, { name: outside });
    expect(reply).toMatchObject({ rcode: 'NXDOMAIN', answers: [`${outside} CNAME ${name}`] });
    expect(reply.authorities).toHaveLength(1);
  });

  it('is told alone where nobody can be asked, or should', async () => {
    const alone = { rcode: 'NOERROR', answers: [`${outside} CNAME ${name}`] };
    expect(await ask(serverOf(items), { name: outside })).toMatchObject(alone);
    await using world = await withServers([good]);
    expect(await ask(world.server, { name: outside, recursion: false })).toMatchObject(alone);
    await using broken = await withServers([(query) => answerTo(query, { header: { rcode: 2 } })]);
    expect(await ask(broken.server, { name: outside })).toMatchObject({ ...alone, rcode: 'SERVFAIL' });
  });
});

it('a client that wants no recursion gets what is at hand', async () => {
  await using world = await withServers([good]);
  expect((await ask(world.server, { name, recursion: false })).rcode).toBe('REFUSED');
  await ask(world.server, { name });
  expect((await ask(world.server, { name, recursion: false })).answers).toHaveLength(1);
});
