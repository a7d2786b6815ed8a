import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { labConfig } from '../../src/lab/config.ts';
import { labManifests } from '../../src/lab/manifests.ts';
import { planLab } from '../../src/lab/plan.ts';
import { loadNode, type ReplayNode } from '../../src/replay/node.ts';

/** A node of the lab, on paper, under a policy that lets TCP and UDP to some ports through. */
export async function fuzzedNode(
  encapsulation: 'vxlan' | 'geneve' | 'ipip',
  module?: WebAssembly.Module,
): Promise<ReplayNode> {
  const folder = mkdtempSync(join(tmpdir(), 'overweft-fuzz-'));
  const options = { encapsulation, underlay: 'ipv4', nodes: 2, podsPerNode: 2 } as const;
  const plan = planLab(options, folder);
  mkdirSync(plan.manifests, { recursive: true });
  for (const [name, manifest] of labManifests(plan))
    writeFileSync(join(plan.manifests, name), stringify(manifest));
  writeFileSync(join(plan.manifests, 'policy.yaml'), stringify(policy));
  const [node] = plan.nodes;
  const config = join(folder, 'node.yaml');
  writeFileSync(
    config,
    stringify({ ...labConfig(options, plan, node as (typeof plan.nodes)[number]), tables: { flows: 1024 } }),
  );
  try {
    return await loadNode(config, plan.manifests, module);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const policy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'some', namespace: 'default' },
  spec: {
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [{ ipBlock: { cidr: '10.244.0.0/16' } }, { podSelector: {} }],
        ports: [{ port: 1, endPort: 40000 }],
      },
    ],
    egress: [{ ports: [{ protocol: 'TCP' }, { protocol: 'UDP', port: 53 }] }, { to: [{ podSelector: {} }] }],
  },
};
