// How long upstreams' answers last, by a clock that the test turns.
import { Packet } from 'dns2';
import { expect, it } from 'vitest';
import { Cache } from '../../src/dns/cache.ts';
import { queryBytes } from '../support/dns.ts';
import { type AnswerFields, a, answerTo, soa } from '../support/dns-upstream.ts';

const name = 'www.example.com';
const query = Packet.parse(queryBytes({ name }));
const question = { type: 1, end: queryBytes({ name }).length };

function world(limits: { entries?: number; longest?: number; longestNegative?: number } = {}) {
  const clock = { now: 0 };
  const cache = new Cache({ entries: 3, longest: 3600, longestNegative: 300, ...limits }, () => clock.now);
  const put = (fields: AnswerFields, key = name) => cache.put(key, answerTo(query, fields), question);
  const ttls = (key = name) => {
    const bytes = cache.get(key);
    if (!bytes) return undefined;
    const { answers, authorities } = Packet.parse(bytes);
    return [...answers, ...authorities].map(({ ttl }) => ttl);
  };
  return { cache, clock, put, ttls };
}

it('TTLs count down, and the least of them ends all', () => {
  const { clock, put, ttls } = world();
  put({ answers: [a(name, '192.0.2.1', 60), a(name, '192.0.2.2', 90)] });
  expect(ttls()).toEqual([60, 90]);
  clock.now = 10_999;
  expect(ttls()).toEqual([50, 80]);
  clock.now = 59_999;
  expect(ttls()).toEqual([1, 31]);
  clock.now = 60_000;
  expect(ttls()).toBeUndefined();
});

it('nothing is kept for longer than is configured', () => {
  const { clock, put, ttls } = world({ longest: 30, longestNegative: 5 });
  put({ answers: [a(name, '192.0.2.1', 600)] }, 'there');
  put({ header: { rcode: 3 }, authorities: [soa('example.com', 600)] }, 'none');
  clock.now = 4999;
  expect([ttls('there'), ttls('none')]).toEqual([[596], [896]]);
  clock.now = 5000;
  expect(ttls('none')).toBeUndefined();
  clock.now = 30_000;
  expect(ttls('there')).toBeUndefined();
});

it('that there is nothing lasts as long as the SOA says: its TTL or its minimum (RFC 2308 §5)', () => {
  const { clock, put, ttls } = world();
  put({ authorities: [soa('example.com', 20, 900)] }, 'minimum');
  put({ authorities: [soa('example.com', 900, 20)] }, 'ttl');
  const cname = { name, type: 5, class: 1, ttl: 10, domain: 'x.example.com' };
  put({ answers: [cname], authorities: [soa('example.com', 900, 900)] }, 'chain');
  clock.now = 9999;
  expect(ttls('chain')).toBeDefined();
  clock.now = 10_000;
  expect(ttls('chain')).toBeUndefined();
  clock.now = 19_999;
  expect([ttls('minimum'), ttls('ttl')]).toEqual([[881], [1]]);
  clock.now = 20_000;
  expect([ttls('minimum'), ttls('ttl')]).toEqual([undefined, undefined]);
});

it('a TTL with its highest bit set is 0 (RFC 2181 §8)', () => {
  const { cache } = world();
  const answer = answerTo(query, { answers: [a(name, '192.0.2.1')] });
  answer.writeUInt32BE(0x80000001, answer.length - 10);
  cache.put(name, answer, question);
  expect(cache.size).toBe(0);
});

it('what was not used for longest goes when there are too many', () => {
  const { cache, put, ttls } = world({ entries: 3 });
  for (const key of ['a', 'b', 'c']) put({ answers: [a(name, '192.0.2.1')] }, key);
  ttls('a');
  put({ answers: [a(name, '192.0.2.1')] }, 'd');
  expect(['a', 'b', 'c', 'd'].map((key) => ttls(key) !== undefined)).toEqual([true, false, true, true]);
  expect(cache.size).toBe(3);
});

it('keeps nothing that says that something went wrong, or that is cut off', () => {
  const { cache, put } = world();
  put({ header: { rcode: 2 }, authorities: [soa('example.com', 60)] });
  const answer = answerTo(query, { answers: [a(name, '192.0.2.1')] });
  cache.put(name, answer.subarray(0, -1), question);
  expect(cache.size).toBe(0);
});
