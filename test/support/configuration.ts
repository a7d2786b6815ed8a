// A configuration for tests, through the parser.
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';

/** Node I of the lab's numbering, by its name `node-I`. */
export function loadConfigText(node = 'node-1', more: object = {}): Config {
  const i = node.split('-').at(-1);
  const fields = {
    node,
    store: { type: 'file', directory: '/manifests' },
    underlay: { addresses: [`192.0.2.${i}`, `2001:db8::${i}`] },
    ...more,
  };
  return parseConfig(stringify(fields), 'test.yaml');
}
