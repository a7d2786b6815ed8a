/**
 * The resolver in a process of its own, over objects in a file, so that its processor time can be told from others'.
 *
 *     node overweft.ts FILE PORT
 */
import { readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { changesBetween } from '../../src/control/changes.ts';
import { readManifests } from '../../src/control/manifests.ts';
import { Forwarder, usual } from '../../src/dns/forwarder.ts';
import { nameChanges } from '../../src/dns/objects.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { Statistics } from '../../src/dns/statistics.ts';
import { listenTcp } from '../../src/dns/tcp.ts';
import { listenUdp } from '../../src/dns/udp.ts';
import { addressesByFamily, Zone } from '../../src/dns/zone.ts';
import { address } from '../../src/net/address.ts';
import { prefix } from '../../src/net/prefix.ts';

const [, , file = '', portText = ''] = argv;
const { objects } = readManifests([{ file, text: readFileSync(file, 'utf8') }]);
const statistics = new Statistics();
const blocks = ['10.96.0.0/12', '10.244.0.0/16'].map(prefix);
const zone = new Zone({ domain: 'cluster.local', ttl: 5, pods: 'any', blocks });
zone.nameServers = addressesByFamily(['127.0.0.1']);
zone.apply(nameChanges(changesBetween(undefined, objects), false));
const cache = { entries: 10_000, longest: 3600, longestNegative: 300 };
const resolver = new Resolver(zone, new Forwarder({ cache, ...usual }, statistics), statistics);
await listenUdp(address('127.0.0.1'), Number(portText), resolver);
await listenTcp(address('127.0.0.1'), Number(portText), resolver, statistics);
