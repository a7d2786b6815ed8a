// Programs of other projects that exist as Go modules only, built once and kept outside the checkout.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { env } from 'node:process';
import { must } from './run.ts';

/** Import path to pinned version. */
const tools = {
  cnitool: 'github.com/containernetworking/cni/cnitool@v1.3.0',
  'host-local': 'github.com/containernetworking/plugins/plugins/ipam/host-local@v1.8.0',
  bandwidth: 'github.com/containernetworking/plugins/plugins/meta/bandwidth@v1.8.0',
  tuning: 'github.com/containernetworking/plugins/plugins/meta/tuning@v1.8.0',
} as const;

/** @returns the folder that holds them, under their names */
export async function goTools(...names: (keyof typeof tools)[]): Promise<string> {
  const folder = `${env.XDG_CACHE_HOME ?? `${homedir()}/.cache`}/overweft/go`;
  for (const name of names) {
    const versioned = tools[name];
    const bin = `${folder}/${versioned.replaceAll('/', '_')}`;
    if (!existsSync(`${bin}/${name}`)) {
      await must('go', ['install', versioned], { env: { GOBIN: bin, CGO_ENABLED: '0' }, timeoutMs: 300_000 });
    }
  }
  return names.map((name) => `${folder}/${tools[name].replaceAll('/', '_')}`).join(':');
}
