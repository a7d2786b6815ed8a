// From a YAML file to a configuration: read, parse, validate, each error with its place.
import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { covers } from '../net/prefix.ts';
import { apiSocket, socketPathFault } from './api-socket.ts';
import { type Issue, issuesOf } from './issues.ts';
import { type Config, configSchema } from './schema.ts';

/** A configuration that cannot be used; the message lists every error, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly issues: readonly Issue[];

  constructor(file: string, issues: readonly Issue[]) {
    super(issues.map(({ path, message }) => `${file}: ${path ? `${path}: ` : ''}${message}`).join('\n'));
    this.issues = issues;
  }
}

/** Variables that say what differs between nodes which share one file, and the fields in whose place they stand. */
const variables = { OVERWEFT_NODE: 'node', OVERWEFT_UNDERLAY_ADDRESSES: 'underlay.addresses' } as const;

/**
 * @param environment its OVERWEFT_NODE and OVERWEFT_UNDERLAY_ADDRESSES (separated by commas) go before what the file says
 * @throws ConfigError
 */
export function loadConfig(file: string, environment: NodeJS.ProcessEnv = process.env): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(file, [{ path: '', message: `cannot be read: ${(error as Error).message}` }]);
  }
  return parseConfig(text, file, environment);
}

/**
 * @param file what the errors call the text
 * @param environment as of loadConfig
 * @throws ConfigError
 */
export function parseConfig(text: string, file: string, environment: NodeJS.ProcessEnv = {}): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    const issues = document.errors.map(({ message, pos }) => {
      const { line, col } = lines.linePos(pos[0]);
      return { path: '', message: `line ${line}, column ${col}: ${message}` };
    });
    throw new ConfigError(file, issues);
  }
  let written: unknown;
  try {
    written = document.toJS() ?? {};
  } catch (error) {
    // An alias without its anchor, or too many of them, is found only now.
    throw new ConfigError(file, [{ path: '', message: (error as Error).message }]);
  }
  const result = configSchema.safeParse(withVariables(written, environment));
  if (!result.success) throw new ConfigError(file, issuesOf(result.error).map(named(environment)));
  const contradictions = consistency(result.data);
  if (contradictions.length > 0) throw new ConfigError(file, contradictions);
  return result.data;
}

function withVariables(given: unknown, environment: NodeJS.ProcessEnv): unknown {
  if (!isObject(given)) return given;
  const { OVERWEFT_NODE: node, OVERWEFT_UNDERLAY_ADDRESSES: addresses } = environment;
  const { underlay = {} } = given;
  return {
    ...given,
    ...(node && { node }),
    ...(addresses && isObject(underlay) && { underlay: { ...underlay, addresses: addresses.split(',') } }),
  };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Says of a value that came from a variable which one. */
const named =
  (environment: NodeJS.ProcessEnv) =>
  ({ path, message }: Issue): Issue => {
    const [variable] =
      Object.entries(variables).find(([name, field]) => environment[name] && path.startsWith(field)) ?? [];
    return { path: variable === undefined ? path : `${path} of ${variable}`, message };
  };

/** What no single field shows. */
function consistency(config: Config): Issue[] {
  const issues: Issue[] = [];
  const { liveness, ports, underlay, podNetwork, peers } = config;
  if (liveness.timeout < liveness.interval) {
    issues.push({
      path: 'liveness.timeout',
      message: `must not be shorter than liveness.interval (${liveness.interval})`,
    });
  }
  const socket = apiSocket(config);
  const fault = socketPathFault(socket);
  if (fault !== undefined) {
    issues.push({
      path: config.api.socket === undefined ? 'runDirectory' : 'api.socket',
      message: `the API cannot listen at ${socket}: ${fault}`,
    });
  }
  if (ports.vxlan === ports.geneve) {
    issues.push({ path: 'ports.geneve', message: `must differ from ports.vxlan (${ports.vxlan})` });
  }
  const families = new Set(underlay.addresses.map(({ family }) => family));
  for (const [i, peer] of peers.entries()) {
    if (families.size > 0 && !peer.addresses.some(({ family }) => families.has(family))) {
      issues.push({
        path: `peers[${i}].addresses`,
        message: 'must hold an address of a family that underlay.addresses has, too',
      });
    }
  }
  for (const [i, { text }] of (config.dns?.addresses ?? []).entries()) {
    if (underlay.addresses.some((one) => one.text === text)) {
      issues.push({
        path: `dns.addresses[${i}]`,
        message: 'must not be an address of the underlay: it is added to ow-node',
      });
    }
  }
  for (const [i, block] of (podNetwork.podCIDRs ?? []).entries()) {
    if (!podNetwork.clusterCIDRs.some((cluster) => covers(cluster, block))) {
      issues.push({
        path: `podNetwork.podCIDRs[${i}]`,
        message: 'must lie in one of podNetwork.clusterCIDRs',
      });
    }
  }
  return issues;
}
