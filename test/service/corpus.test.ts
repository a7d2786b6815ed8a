// The published table of kube-proxy's choice of endpoints: hints, traffic policies and the fallback.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Pool } from '../../src/service/compile.ts';
import { corpus, corpusFolder, describeWith } from '../support/requires.ts';
import { compilerOf, service, slice } from '../support/services.ts';

interface Case {
  readonly name: string;
  readonly nodeName: string | null;
  readonly nodeLabels: Readonly<Record<string, string>> | null;
  readonly endpoints: readonly {
    readonly ip: string;
    readonly isLocal: boolean;
    readonly ready: boolean;
    readonly serving: boolean;
    readonly terminating: boolean;
    readonly zoneHints: readonly string[] | null;
    readonly nodeHints: readonly string[] | null;
  }[];
  /** Null: none is ever chosen under that policy. */
  readonly clusterEndpoints: readonly string[] | null;
  readonly localEndpoints: readonly string[] | null;
  readonly nodePort: number;
  readonly internalPolicyLocal: boolean;
  readonly externalPolicyLocal: boolean;
}

const policy = (isLocal: boolean) => (isLocal ? 'Local' : 'Cluster');
const keysOf = (pool: Pool | undefined) => pool?.backends.map(({ key }) => key) ?? null;

describeWith([corpus], 'published choices of endpoints', () => {
  const { cases } = corpus.met()
    ? (JSON.parse(readFileSync(`${corpusFolder}/services/service-topology-antrea.json`, 'utf8')) as {
        cases: readonly Case[];
      })
    : { cases: [] };

  it.each(cases.map((one) => [one.name, one] as const))('Services 1, 2, 4: %s', (_, one) => {
    const name = one.nodeName ?? 'this-node';
    const compiler = compilerOf(
      [
        { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: one.nodeLabels ?? {} } },
        service({
          type: one.nodePort > 0 ? 'NodePort' : 'ClusterIP',
          ports: [{ name: 'http', port: 80, nodePort: one.nodePort }],
          internalTrafficPolicy: policy(one.internalPolicyLocal),
          externalTrafficPolicy: policy(one.externalPolicyLocal),
        }),
        slice(
          one.endpoints.map(({ ip, isLocal, ready, serving, terminating, zoneHints, nodeHints }) => ({
            ip,
            node: isLocal ? name : 'other',
            ready,
            serving,
            terminating,
            ...(zoneHints && { zones: zoneHints }),
            ...(nodeHints && { nodes: nodeHints }),
          })),
          { ports: [{ name: 'http', port: 80 }] },
        ),
      ],
      name,
    );
    const port = compiler.services.get('default/web')?.ports[0];
    const hasNone = one.endpoints.length === 0;
    // Where there is no endpoint at all, the table gives no list; an empty one says the same.
    expect(keysOf(port?.Cluster)).toEqual(one.clusterEndpoints ?? (hasNone && port?.Cluster ? [] : null));
    expect(keysOf(port?.Local)).toEqual(one.localEndpoints ?? (hasNone && port?.Local ? [] : null));
  });
});
