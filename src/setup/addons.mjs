// Third-party add-ons, written against NAN: one build for each Node ABI.
import { existsSync, readFileSync } from 'node:fs';
import { nodeGyp } from './nodegyp.mjs';
import { root, runtime } from './runtime.mjs';
import { contentHash, Stamp } from './stamp.mjs';
import { step } from './steps.mjs';

const addons = [
  { name: 'raw-socket', header: null },
  { name: 'cap', header: '/usr/include/pcap/pcap.h' },
];

/** Builds what can be built: without libpcap's headers `cap` stays unbuilt, and `overweft capture` says so. */
export async function buildThirdPartyAddons() {
  const version = JSON.parse(readFileSync(`${runtime.folder}/package.json`, 'utf8')).version;
  for (const { name, header } of addons) {
    const folder = `${root}node_modules/${name}`;
    const stamp = new Stamp(
      `${folder}/build/overweft-stamp`,
      contentHash([`node_modules/${name}/package.json`], /./, [version]),
    );
    if (stamp.fresh() || (header && !existsSync(header))) continue;
    await step(`${name} for Node ${version}`, () => nodeGyp(folder, ['rebuild']));
    stamp.write();
  }
}
