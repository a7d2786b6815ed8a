// The numbered statements about Services that are decided before a packet is seen.
import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../src/control/changes.ts';
import { address } from '../../src/net/address.ts';
import { ServiceCompiler } from '../../src/service/compile.ts';
import { sourceChange } from '../../src/service/decide.ts';
import { healthAnswer } from '../../src/service/health.ts';
import { node, pod } from '../support/cluster.ts';
import {
  compilerOf,
  type EndpointFields,
  knock,
  objectsFrom,
  service,
  slice,
  where,
} from '../support/services.ts';

const DRAINING = { ready: false, serving: true, terminating: true };
const DEAD = { ready: false, serving: false, terminating: true };
const UNREADY = { ready: false, serving: false, terminating: false };
const LOCAL = { node: 'node-1' };
const REMOTE = { node: 'node-2' };
const STRANGER = { client: '198.51.100.7', origin: 'outside' } as const;

const LB = { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] } };
const external = (more: object = {}) => ({
  type: 'LoadBalancer',
  ports: [{ name: 'http', port: 80, nodePort: 30080 }],
  externalIPs: ['203.0.113.9'],
  ...more,
});
const fromOutside = [
  { to: '203.0.113.5', ...STRANGER },
  { to: '203.0.113.9', ...STRANGER },
  { to: '192.0.2.1', port: 30080, ...STRANGER },
];
const fromInside = fromOutside.map(({ to, ...rest }) => ({ to, ...('port' in rest && { port: rest.port }) }));

const at = (
  spec: object,
  endpoints: readonly EndpointFields[],
  labels: Readonly<Record<string, string>> = {},
) => compilerOf([node(1, labels), node(2), service(spec, {}, LB), slice(endpoints)]);
const reached = (endpoints: readonly EndpointFields[], spec: object = {}) => where(at(spec, endpoints));

describe('conditions', () => {
  it('Services 1: ready endpoints are used, and no others beside them', () => {
    expect(
      reached([{ ip: '10.244.1.1' }, { ip: '10.244.1.2', ...DRAINING }, { ip: '10.244.1.3', ...UNREADY }]),
    ).toEqual(['10.244.1.1:8080']);
  });

  it('Services 1: where none is ready, those that serve while they terminate are', () => {
    expect(
      reached([
        { ip: '10.244.1.1', ...UNREADY },
        { ip: '10.244.1.2', ...DRAINING },
        { ip: '10.244.1.3', ...DEAD },
      ]),
    ).toEqual(['10.244.1.2:8080']);
  });

  it('Services 1: an endpoint that does not serve is never used', () => {
    expect(
      reached([
        { ip: '10.244.1.1', ...DEAD },
        { ip: '10.244.1.2', ...UNREADY },
      ]),
    ).toBe('reject no-endpoint');
  });

  it('Services 1: serving but not ready, and not terminating, is not enough', () => {
    expect(reached([{ ip: '10.244.1.1', ready: false, serving: true, terminating: false }])).toBe(
      'reject no-endpoint',
    );
  });

  it('Services 1: conditions that are not given count as ready and serving, not terminating', () => {
    expect(reached([{ ip: '10.244.1.1' }])).toEqual(['10.244.1.1:8080']);
    expect(reached([{ ip: '10.244.1.1', ready: false, terminating: true }])).toEqual(['10.244.1.1:8080']);
  });

  it('Services 1: publishNotReadyAddresses shows as ready, also of endpoints that terminate', () => {
    expect(
      reached([{ ip: '10.244.1.1', ready: true, serving: false, terminating: true }], {
        publishNotReadyAddresses: true,
      }),
    ).toEqual(['10.244.1.1:8080']);
  });

  it('Services 1: Cluster and Local fall back each by itself', () => {
    const compiler = at(external({ externalTrafficPolicy: 'Local' }), [
      { ip: '10.244.1.1', ...LOCAL, ...DRAINING },
      { ip: '10.244.2.1', ...REMOTE },
    ]);
    expect(where(compiler)).toEqual(['10.244.2.1:8080']);
    for (const question of fromOutside) expect(where(compiler, question)).toEqual(['10.244.1.1:8080']);
  });
});

describe('hints', () => {
  const zone = (name: string) => ({ 'topology.kubernetes.io/zone': name });
  const a = { ip: '10.244.1.1', zones: ['a'], nodes: ['node-1'] };
  const b = { ip: '10.244.2.1', zones: ['a', 'b'], nodes: ['node-2'] };
  const c = { ip: '10.244.3.1', zones: ['c'], nodes: ['node-3'] };
  const keys = (...endpoints: { ip: string }[]) => endpoints.map(({ ip }) => `${ip}:8080`);
  const zoned = (...endpoints: (typeof a)[]) => endpoints.map(({ ip, zones }) => ({ ip, zones }));

  it('Services 2: hints for this node come first', () => {
    expect(where(at({}, [a, b, c], zone('a')))).toEqual(keys(a));
  });

  it('Services 2: else hints for its zone', () => {
    expect(where(at({}, zoned(a, b, c), zone('a')))).toEqual(keys(a, b));
    expect(where(at({}, [b, c], zone('c')))).toEqual(keys(c));
  });

  it('Services 2: else all, where no endpoint is for here', () => {
    expect(where(at({}, zoned(a, b, c), zone('z')))).toEqual(keys(a, b, c));
  });

  it('Services 2: else all, where the node has no zone', () => {
    expect(where(at({}, zoned(a, b, c)))).toEqual(keys(a, b, c));
  });

  it('Services 2: one ready endpoint without a hint and none counts', () => {
    expect(where(at({}, [...zoned(a, b), { ip: c.ip }], zone('a')))).toEqual(keys(a, b, c));
  });

  it('Services 2: endpoints that are not ready are not asked for hints', () => {
    const silent = { ip: '10.244.9.1', ...UNREADY };
    expect(where(at({}, [...zoned(a, b, c), silent], zone('a')))).toEqual(keys(a, b));
  });

  it('Services 2: a zone whose only endpoint is not ready gets all', () => {
    const [first, ...rest] = zoned(a, c);
    expect(where(at({}, [{ ip: '10.244.1.1', ...first, ...UNREADY }, ...rest], zone('a')))).toEqual(keys(c));
  });

  it('Services 2: hints say nothing about endpoints that drain', () => {
    expect(
      where(
        at(
          {},
          zoned(a, b, c).map((one) => ({ ...one, ...DRAINING })),
          zone('c'),
        ),
      ),
    ).toEqual(keys(a, b, c));
  });

  it('Services 2: hints count whatever trafficDistribution says, PreferClose as PreferSameZone', () => {
    for (const trafficDistribution of ['PreferClose', 'PreferSameZone', 'PreferSameNode'])
      expect(where(at({ trafficDistribution }, zoned(a, b, c), zone('a')))).toEqual(keys(a, b));
  });

  it('Services 2: the policy Local has no use for hints', () => {
    const here = { ...c, ...LOCAL };
    expect(where(at({ internalTrafficPolicy: 'Local' }, [{ ...a, ...REMOTE }, here], zone('a')))).toEqual(
      keys(c),
    );
  });
});

describe('no endpoint', () => {
  it('Services 3: nowhere in the cluster: refused, by whatever address', () => {
    const compiler = at(external({ externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' }), []);
    for (const question of [{}, ...fromOutside, ...fromInside])
      expect(where(compiler, question)).toBe('reject no-endpoint');
  });

  it('Services 3: a Service without any slice: refused', () => {
    expect(where(compilerOf([node(1), service()]))).toBe('reject no-endpoint');
  });

  it('Services 3: policy Local and none here: dropped', () => {
    const endpoints = [{ ip: '10.244.2.1', ...REMOTE }];
    expect(where(at({ internalTrafficPolicy: 'Local' }, endpoints))).toBe('drop no-local-endpoint');
    const compiler = at(external({ externalTrafficPolicy: 'Local' }), endpoints);
    for (const question of fromOutside) expect(where(compiler, question)).toBe('drop no-local-endpoint');
  });

  it('Services 3: policy Local, and elsewhere one that drains: dropped', () => {
    expect(reached([{ ip: '10.244.2.1', ...REMOTE, ...DRAINING }], { internalTrafficPolicy: 'Local' })).toBe(
      'drop no-local-endpoint',
    );
  });

  it('Services 3: policy Local, and elsewhere only dead ones: refused', () => {
    expect(reached([{ ip: '10.244.2.1', ...REMOTE, ...DEAD }], { internalTrafficPolicy: 'Local' })).toBe(
      'reject no-endpoint',
    );
  });

  it('Services 3: another port of a cluster IP is refused', () => {
    const compiler = at({}, [{ ip: '10.244.1.1' }]);
    expect(where(compiler, { port: 81 })).toBe('reject no-such-port');
    expect(where(compiler, { protocol: 'UDP' })).toBe('reject no-such-port');
  });
});

describe('traffic policies', () => {
  const both = [
    { ip: '10.244.1.1', ...LOCAL },
    { ip: '10.244.2.1', ...REMOTE },
  ];
  const all = ['10.244.1.1:8080', '10.244.2.1:8080'];
  const here = ['10.244.1.1:8080'];

  it('Services 4: internalTrafficPolicy governs cluster IPs and nothing else', () => {
    const compiler = at(external({ internalTrafficPolicy: 'Local' }), both);
    expect(where(compiler)).toEqual(here);
    expect(where(compiler, { origin: 'node', client: '192.0.2.1' })).toEqual(here);
    for (const question of [...fromOutside, ...fromInside]) expect(where(compiler, question)).toEqual(all);
  });

  it('Services 4: externalTrafficPolicy governs node ports, external IPs and load balancers for who is outside', () => {
    const compiler = at(external({ externalTrafficPolicy: 'Local' }), both);
    for (const question of fromOutside) expect(where(compiler, question)).toEqual(here);
    expect(where(compiler)).toEqual(all);
  });

  it('Services 4: pods and the node reach external addresses of policy Local without a local endpoint', () => {
    const compiler = at(external({ externalTrafficPolicy: 'Local' }), [{ ip: '10.244.2.1', ...REMOTE }]);
    for (const question of fromInside) {
      expect(where(compiler, question)).toEqual(['10.244.2.1:8080']);
      expect(where(compiler, { ...question, origin: 'node', client: '192.0.2.1' })).toEqual([
        '10.244.2.1:8080',
      ]);
    }
  });

  it('Services 4: externalTrafficPolicy means nothing to a plain cluster IP', () => {
    expect(where(at({ externalTrafficPolicy: 'Local' }, both))).toEqual(all);
  });

  it('Services 4: an endpoint that names no node is local to none', () => {
    expect(reached([{ ip: '10.244.1.1' }], { internalTrafficPolicy: 'Local' })).toBe(
      'drop no-local-endpoint',
    );
  });
});

describe('health checks', () => {
  const checked = (endpoints: readonly EndpointFields[], spec: object = {}) =>
    at(
      external({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32000, ...spec }),
      endpoints,
    ).services.get('default/web');
  const answer = (endpoints: readonly EndpointFields[], isHealthy = true) => {
    const compiled = checked(endpoints);
    return compiled && healthAnswer(compiled, isHealthy);
  };

  it('Services 5: 200 with the number of ready endpoints here', () => {
    expect(
      answer([
        { ip: '10.244.1.1', ...LOCAL },
        { ip: '10.244.1.2', ...LOCAL },
        { ip: '10.244.2.1', ...REMOTE },
      ]),
    ).toEqual({
      status: 200,
      body: { service: { namespace: 'default', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true },
    });
  });

  it('Services 5: 503 where none is here, where all terminate, and where the proxy is not healthy', () => {
    expect(answer([{ ip: '10.244.2.1', ...REMOTE }])).toMatchObject({
      status: 503,
      body: { localEndpoints: 0 },
    });
    expect(answer([{ ip: '10.244.1.1', ...LOCAL, ...DRAINING }])).toMatchObject({ status: 503 });
    expect(answer([{ ip: '10.244.1.1', ...LOCAL }], false)).toMatchObject({
      status: 503,
      body: { localEndpoints: 1, serviceProxyHealthy: false },
    });
  });

  it('Services 5: only a LoadBalancer of policy Local has the port', () => {
    expect(checked([])?.healthCheckNodePort).toBe(32000);
    expect(checked([], { externalTrafficPolicy: 'Cluster' })?.healthCheckNodePort).toBe(0);
    expect(checked([], { type: 'NodePort' })?.healthCheckNodePort).toBe(0);
  });
});

describe('affinity', () => {
  const three = ['10.244.1.1', '10.244.1.2', '10.244.1.3'].map((ip) => ({ ip }));
  const backend = (spec: object, clientPort?: number) => {
    const decision = knock(at(spec, three), clientPort === undefined ? {} : { clientPort });
    return decision.verdict === 'forward' ? decision.backend?.key : undefined;
  };

  it('Services 7: ClientIP lasts 10 800 s unless told otherwise', () => {
    const seconds = (spec: object) => at(spec, three).services.get('default/web')?.ports[0]?.affinitySeconds;
    expect(seconds({ sessionAffinity: 'ClientIP' })).toBe(10_800);
    expect(
      seconds({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }),
    ).toBe(60);
    expect(seconds({ sessionAffinity: 'None' })).toBeUndefined();
  });

  it('Services 7: a client goes to one endpoint whatever its port', () => {
    const spec = { sessionAffinity: 'ClientIP' };
    const first = backend(spec);
    expect(first).toBeDefined();
    for (let port = 1024; port < 1124; port++) expect(backend(spec, port)).toBe(first);
  });

  it('Services 7: without affinity its ports go to all', () => {
    const reachedBy = Array.from({ length: 100 }, (_, i) => backend({}, 1024 + i));
    expect(new Set(reachedBy).size).toBe(3);
    expect(backend({})).toBeUndefined();
  });
});

describe('source addresses', () => {
  const endpoint = (compiler: ReturnType<typeof compilerOf>, question: Parameters<typeof knock>[1]) => {
    const decision = knock(compiler, question);
    if (decision.verdict !== 'forward' || !decision.backend) throw new Error(decision.verdict);
    const { client = '10.244.1.99', origin = 'pod' } = question ?? {};
    return sourceChange({ client: address(client), origin }, decision.backend, compiler.place);
  };

  it('Services 9: changed where a client is its own endpoint', () => {
    const compiler = at({}, [{ ip: '10.244.1.1', ...LOCAL }]);
    expect(endpoint(compiler, { client: '10.244.1.1' })).toBe('hairpin');
    expect(endpoint(compiler, { client: '10.244.1.2' })).toBeUndefined();
  });

  it('Services 9: changed for a stranger whose endpoint is on another node, kept where it is here', () => {
    const remote = at(external(), [{ ip: '10.244.2.1', ...REMOTE }]);
    const local = at(external({ externalTrafficPolicy: 'Local' }), [{ ip: '10.244.1.1', ...LOCAL }]);
    for (const question of fromOutside) {
      expect(endpoint(remote, question)).toBe('remote');
      expect(endpoint(local, question)).toBeUndefined();
    }
    for (const question of fromInside) expect(endpoint(remote, question)).toBeUndefined();
  });
});

describe('whose traffic it is', () => {
  const endpoints = [{ ip: '10.244.1.1', ...LOCAL }];
  const ranged = (ranges: readonly string[]) => at(external({ loadBalancerSourceRanges: ranges }), endpoints);
  const lb = { to: '203.0.113.5' };

  it('Services 10: loadBalancerSourceRanges shuts out who is in none, pods too', () => {
    const compiler = ranged([' 198.51.100.0/28 ', '10.244.1.99/32']);
    expect(where(compiler, { ...lb, ...STRANGER })).toEqual(['10.244.1.1:8080']);
    expect(where(compiler, { ...lb, ...STRANGER, client: '198.51.100.16' })).toBe('drop source-range');
    expect(where(compiler, lb)).toEqual(['10.244.1.1:8080']);
    expect(where(compiler, { ...lb, client: '10.244.1.98' })).toBe('drop source-range');
  });

  it('Services 10: loadBalancerSourceRanges is for the load balancer alone', () => {
    const compiler = ranged(['192.0.2.128/25']);
    for (const question of fromOutside.slice(1))
      expect(where(compiler, question)).toEqual(['10.244.1.1:8080']);
    expect(where(compiler)).toEqual(['10.244.1.1:8080']);
  });

  it("Services 10: a range with the node's own address holds all that the node sends", () => {
    const own = { ...lb, origin: 'node', client: '203.0.113.5' } as const;
    expect(where(ranged(['192.0.2.1/32']), own)).toEqual(['10.244.1.1:8080']);
    expect(where(ranged(['192.0.2.2/32']), own)).toBe('drop source-range');
  });

  it('Services 10: ranges of one family shut the other', () => {
    const compiler = compilerOf([
      node(1),
      service(
        external({
          clusterIP: 'fd00:96::10',
          clusterIPs: ['fd00:96::10'],
          externalIPs: [],
          loadBalancerSourceRanges: ['0.0.0.0/0'],
        }),
        {},
        { loadBalancer: { ingress: [{ ip: '2001:db8:5::5' }] } },
      ),
      slice([{ ip: 'fd00:244:1::1', ...LOCAL }], { type: 'IPv6' }),
    ]);
    expect(where(compiler, { to: '2001:db8:5::5', client: '2001:db8::7', origin: 'outside' })).toBe(
      'drop source-range',
    );
  });

  it("Services 10: a load balancer's other ports, and addresses of ipMode Proxy, are left alone", () => {
    expect(where(at(external(), endpoints), { ...lb, port: 81 })).toBe('not-a-service');
    const proxied = compilerOf([
      node(1),
      service(external(), {}, { loadBalancer: { ingress: [{ ip: '203.0.113.5', ipMode: 'Proxy' }] } }),
      slice(endpoints),
    ]);
    expect(where(proxied, lb)).toBe('not-a-service');
  });

  it('Services 10: a Service or slice for another proxy is ignored', () => {
    const labels = { 'service.kubernetes.io/service-proxy-name': 'mesh' };
    expect(where(compilerOf([node(1), service({}, { labels }), slice(endpoints)]))).toBe('not-a-service');
    expect(where(compilerOf([node(1), service(), slice(endpoints, {}, labels)]))).toBe('reject no-endpoint');
  });

  it('Services 10: cluster IPs are reachable from pods, nodes and host networks', () => {
    const compiler = at({}, endpoints);
    expect(where(compiler, { origin: 'pod' })).toEqual(['10.244.1.1:8080']);
    expect(where(compiler, { origin: 'node', client: '192.0.2.1' })).toEqual(['10.244.1.1:8080']);
  });

  it('Services 13: an external IP takes no cluster IP, node port or load balancer from its owner', () => {
    const thief = service(
      {
        clusterIP: '10.96.0.66',
        clusterIPs: ['10.96.0.66'],
        ports: [
          { name: 'a', port: 80 },
          { name: 'b', port: 30080 },
        ],
        externalIPs: ['10.96.0.10', '203.0.113.5', '192.0.2.1'],
      },
      { name: 'thief', creationTimestamp: '2020-01-01T00:00:00Z' },
    );
    const compiler = compilerOf([
      node(1),
      thief,
      service(external({ externalIPs: [] }), {}, LB),
      slice(endpoints),
    ]);
    for (const question of [{}, lb, { to: '192.0.2.1', port: 30080 }])
      expect(where(compiler, question)).toEqual(['10.244.1.1:8080']);
  });

  it('Services 13: of two Services with one external IP the older has it', () => {
    const claim = (name: string, ip: string, creationTimestamp: string) =>
      service({ clusterIP: ip, clusterIPs: [ip], externalIPs: ['203.0.113.9'] }, { name, creationTimestamp });
    const compiler = compilerOf([
      claim('a', '10.96.0.1', '2025-01-02T00:00:00Z'),
      claim('b', '10.96.0.2', '2025-01-01T00:00:00Z'),
      slice(endpoints, { service: 'b' }),
    ]);
    expect(where(compiler, { to: '203.0.113.9' })).toEqual(['10.244.1.1:8080']);
  });
});

describe('families and kinds', () => {
  const dual = service({
    type: 'NodePort',
    clusterIPs: ['10.96.0.10', 'fd00:96::10'],
    ports: [{ name: 'http', port: 80, nodePort: 30080 }],
  });

  it('Services 11: each family has its own endpoints', () => {
    const compiler = compilerOf([
      node(1),
      dual,
      slice([{ ip: '10.244.1.1' }]),
      slice([{ ip: 'fd00:244:1::1' }], { name: 'web-6', type: 'IPv6' }),
    ]);
    expect(where(compiler)).toEqual(['10.244.1.1:8080']);
    expect(where(compiler, { to: 'fd00:96::10', client: 'fd00:244:1::99' })).toEqual([
      '[fd00:244:1::1]:8080',
    ]);
    expect(
      where(compiler, { to: '2001:db8::1', port: 30080, client: '2001:db8::7', origin: 'outside' }),
    ).toEqual(['[fd00:244:1::1]:8080']);
  });

  it('Services 11: one family without endpoints leaves the other alone', () => {
    const compiler = compilerOf([node(1), dual, slice([{ ip: '10.244.1.1' }])]);
    expect(where(compiler)).toEqual(['10.244.1.1:8080']);
    expect(where(compiler, { to: 'fd00:96::10', client: 'fd00:244:1::99' })).toBe('reject no-endpoint');
  });

  it('Services 11: without a cluster IP of a family there is nothing in it', () => {
    const compiler = compilerOf([
      node(1),
      service({
        type: 'NodePort',
        ports: [{ name: 'http', port: 80, nodePort: 30080 }],
        externalIPs: ['2001:db8:9::9'],
      }),
      slice([{ ip: 'fd00:244:1::1' }], { type: 'IPv6' }),
    ]);
    expect(where(compiler, { to: '2001:db8:9::9', client: '2001:db8::7' })).toBe('not-a-service');
    expect(where(compiler, { to: '2001:db8::1', port: 30080, client: '2001:db8::7' })).toBe('not-a-service');
  });

  it('Services 11: headless and ExternalName Services have no frontends', () => {
    const kinds = {
      headless: { clusterIP: 'None', clusterIPs: ['None'], externalIPs: ['203.0.113.9'] },
      'external-name': {
        type: 'ExternalName',
        externalName: 'example.org',
        clusterIP: null,
        clusterIPs: null,
      },
      'no-cluster-ip': { clusterIP: '', clusterIPs: null },
    };
    for (const [passed, spec] of Object.entries(kinds)) {
      const compiler = compilerOf([node(1), service(spec), slice([{ ip: '10.244.1.1' }])]);
      expect(compiler.services.get('default/web')).toMatchObject({ passed, ports: [] });
      expect(where(compiler, { to: '203.0.113.9' })).toBe('not-a-service');
    }
  });

  it('Services 11: slices of FQDN addresses mean nothing to a proxy', () => {
    expect(where(compilerOf([service(), slice([{ ip: 'example.org' }], { type: 'FQDN' })]))).toBe(
      'reject no-endpoint',
    );
  });
});

describe('slices', () => {
  it('of one Service are joined, and each endpoint counts once', () => {
    const compiler = compilerOf([
      service(),
      slice([{ ip: '10.244.1.1' }, { ip: '10.244.1.2' }]),
      slice([{ ip: '10.244.1.2' }, { ip: '10.244.1.3' }], { name: 'web-2' }),
    ]);
    expect(where(compiler)).toEqual(['10.244.1.1:8080', '10.244.1.2:8080', '10.244.1.3:8080']);
  });

  it('that tell of an endpoint differently: local first, then the better state', () => {
    const twice = (one: Partial<EndpointFields>, other: Partial<EndpointFields>, spec: object = {}) =>
      where(
        compilerOf([
          node(1),
          service(spec),
          slice([{ ip: '10.244.1.1', ...one }]),
          slice([{ ip: '10.244.1.1', ...other }], { name: 'web-2' }),
        ]),
      );
    expect(twice(UNREADY, {})).toEqual(['10.244.1.1:8080']);
    expect(twice({}, UNREADY)).toEqual(['10.244.1.1:8080']);
    expect(twice({}, LOCAL, { internalTrafficPolicy: 'Local' })).toEqual(['10.244.1.1:8080']);
    expect(twice({ ...LOCAL, ...UNREADY }, REMOTE)).toBe('reject no-endpoint');
  });

  it('give each port its own endpoints and numbers, by name and protocol', () => {
    const compiler = compilerOf([
      service({
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53 },
          { name: 'gone', port: 54 },
        ],
      }),
      slice([{ ip: '10.244.1.1' }], {
        ports: [
          { name: 'dns', port: 5353, protocol: 'UDP' },
          { name: 'dns-tcp', port: 5354, protocol: 'TCP' },
          { name: 'gone', port: 5355, protocol: 'SCTP' },
        ],
      }),
      slice([{ ip: '10.244.1.2' }], { name: 'web-2', ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] }),
    ]);
    expect(where(compiler, { port: 53, protocol: 'UDP' })).toEqual(['10.244.1.1:5353', '10.244.1.2:53']);
    expect(where(compiler, { port: 53 })).toEqual(['10.244.1.1:5354']);
    expect(where(compiler, { port: 54 })).toBe('reject no-endpoint');
  });

  it('without a name for their port serve a Service port without a name', () => {
    const compiler = compilerOf([
      service({ ports: [{ port: 80 }] }),
      slice([{ ip: '10.244.1.1' }], { ports: [{ port: 8080, name: null }] }),
    ]);
    expect(where(compiler)).toEqual(['10.244.1.1:8080']);
  });

  it('of a Service without a selector may name any address', () => {
    const compiler = compilerOf([
      node(1),
      pod({ name: 'a', ips: ['10.244.1.1'] }),
      service({ selector: null }),
      slice([{ ip: '198.51.100.20' }]),
    ]);
    expect(where(compiler)).toEqual(['198.51.100.20:8080']);
  });
});

it("Services 11: a Service whose place the node's resolver takes has no rules", () => {
  const objects = objectsFrom([
    node(1),
    service({}, { name: 'kube-dns', namespace: 'kube-system' }),
    slice([{ ip: '10.244.1.1' }]),
  ]);
  const compiler = new ServiceCompiler('node-1', 'kube-system/kube-dns');
  compiler.apply(changesBetween(undefined, objects), undefined);
  expect(where(compiler)).toBe('not-a-service');
  expect(compiler.services.get('kube-system/kube-dns')?.passed).toBe('resolver');
});
