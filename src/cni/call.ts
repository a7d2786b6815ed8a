/**
 * One call of the plugin as its daemon reads it. The plugin has already judged what the specification says of every call
 * (native/cni/request.cc); here it is read what the call wants of Overweft.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { addressField, macField, nameField, pathField } from '../config/fields.ts';
import { issuesOf } from '../config/issues.ts';
import { interfaceField } from '../daemon/ports/port-file.ts';
import { bandwidthField } from './bandwidth.ts';
import { CniError, codes } from './error.ts';
import { portMappingsField } from './port-mappings.ts';
import { dnsField, resultField } from './result.ts';

const versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type Version = (typeof versions)[number];

/** With or without the prefix length that some runtimes add. */
const requestedAddress = z
  .string()
  .transform((text) => text.replace(/\/\d+$/, ''))
  .pipe(addressField);

const attachments = z.array(z.looseObject({ containerID: z.string(), ifname: z.string() })).nullish();

/**
 * Names of fields as the conventions write them. Go's JSON reads them in any case, so plugins in Go take what containerd
 * sends, whose structs have no names for JSON: HostPort, IngressRate, Servers.
 */
function conventional(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(conventional);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name.charAt(0).toLowerCase() + name.slice(1), field]),
  );
}

const inAnyCase = <T extends z.ZodType>(schema: T) => z.preprocess(conventional, schema).nullish();

/** Conventions of runtimes, https://github.com/containernetworking/cni/blob/v1.3.0/CONVENTIONS.md. */
const runtimeConfig = z.looseObject({
  ips: z.array(requestedAddress).nullish(),
  mac: macField.nullish(),
  bandwidth: inAnyCase(bandwidthField),
  portMappings: inAnyCase(portMappingsField),
  dns: inAnyCase(
    z.looseObject({
      servers: z.array(z.string()).nullish(),
      searches: z.array(z.string()).nullish(),
      options: z.array(z.string()).nullish(),
    }),
  ),
});

const networkConfig = z.looseObject({
  cniVersion: z.enum(versions),
  name: z.string(),
  ipam: z.looseObject({ type: z.string().optional() }).nullish(),
  dns: dnsField.nullish(),
  args: z
    .looseObject({ cni: z.looseObject({ ips: z.array(requestedAddress).nullish() }).nullish() })
    .nullish(),
  runtimeConfig: runtimeConfig.nullish(),
  prevResult: resultField.nullish(),
  'cni.dev/valid-attachments': attachments,
  /** The name that the specification had by mistake; libcni sends both. */
  'cni.dev/attachments': attachments,
});

export type NetworkConfig = z.output<typeof networkConfig>;

/** What every command needs of it. */
const essentials = z.object(networkConfig.pick({ cniVersion: true, name: true, ipam: true }).shape);

const container = z.object({ CNI_CONTAINERID: z.string().min(1), CNI_IFNAME: interfaceField });

const environment = z.discriminatedUnion('CNI_COMMAND', [
  container.extend({
    CNI_COMMAND: z.literal('ADD'),
    CNI_NETNS: pathField,
    CNI_ARGS: z.string().default(''),
  }),
  container.extend({ CNI_COMMAND: z.literal('CHECK'), CNI_NETNS: pathField }),
  container.extend({ CNI_COMMAND: z.literal('DEL'), CNI_NETNS: z.string().optional() }),
  z.object({ CNI_COMMAND: z.literal('GC') }),
  z.object({ CNI_COMMAND: z.literal('STATUS') }),
]);

const body = z.strictObject({
  environment: z.unknown(),
  config: z.unknown(),
  /** What the IPAM plugin has answered to the command that the daemon had it run. */
  delegate: z.strictObject({ succeeded: z.boolean(), output: z.string() }).optional(),
});

/** What a runtime calls a pod. */
interface PodIdentity {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string | undefined;
}

interface OfContainer {
  readonly containerId: string;
  readonly interface: string;
  readonly config: NetworkConfig;
}

export interface AddCall extends OfContainer {
  readonly command: 'ADD';
  readonly netns: string;
  readonly identity: PodIdentity;
  /** prevResult in its own notation. */
  readonly previous: Record<string, unknown> | undefined;
  readonly delegate: { readonly succeeded: boolean; readonly output: string } | undefined;
}

export interface CheckCall extends OfContainer {
  readonly command: 'CHECK';
  readonly netns: string;
}

export interface DeleteCall extends OfContainer {
  readonly command: 'DEL';
  /** Undefined where the runtime has lost it. */
  readonly netns: string | undefined;
}

interface NetworkCall {
  readonly command: 'GC' | 'STATUS';
  readonly config: NetworkConfig;
}

export type Call = AddCall | CheckCall | DeleteCall | NetworkCall;

/** Version of a body that may be wrong in any other way. */
export function versionOf(value: unknown): Version {
  const loose = z.looseObject({ config: networkConfig.pick({ cniVersion: true }) }).safeParse(value);
  return loose.success ? loose.data.config.cniVersion : '1.1.0';
}

/** @throws CniError */
export function readCall(value: unknown): Call {
  const parts = valid(body, value, codes.decodingFailure);
  const variables = valid(environment, parts.environment, codes.invalidEnvironment);
  // A pod must be able to end whatever is wrong with what it was to have.
  const config: NetworkConfig = valid(
    variables.CNI_COMMAND === 'DEL' ? essentials : networkConfig,
    parts.config,
    codes.invalidConfig,
  );
  if (variables.CNI_COMMAND === 'GC' || variables.CNI_COMMAND === 'STATUS')
    return { command: variables.CNI_COMMAND, config };
  const { CNI_CONTAINERID: containerId, CNI_IFNAME } = variables;
  const of = { containerId, interface: CNI_IFNAME, config };
  switch (variables.CNI_COMMAND) {
    case 'DEL':
      return { command: 'DEL', ...of, netns: variables.CNI_NETNS };
    case 'CHECK':
      return { command: 'CHECK', ...of, netns: variables.CNI_NETNS };
    case 'ADD':
      return {
        command: 'ADD',
        ...of,
        netns: variables.CNI_NETNS,
        identity: identityOf(readArgs(variables.CNI_ARGS), containerId),
        previous: (parts.config as { prevResult?: Record<string, unknown> }).prevResult,
        delegate: parts.delegate,
      };
  }
}

/** Whether another plugin hands out the addresses. */
export const isDelegated = ({ ipam }: NetworkConfig): boolean =>
  ipam?.type !== undefined && ipam.type !== '' && ipam.type !== 'overweft';

/**
 * The other plugin's answer.
 * @throws CniError in its words where it has failed
 */
export function readDelegated(outcome: { succeeded: boolean; output: string }, type = '') {
  let value: unknown;
  try {
    value = JSON.parse(outcome.output);
  } catch (error) {
    throw new CniError(codes.decodingFailure, `ipam.type: ${type} answers no JSON`, (error as Error).message);
  }
  if (outcome.succeeded) return valid(resultField, value, codes.decodingFailure, `${type}: `);
  const failure = z
    .looseObject({ code: z.number(), msg: z.string(), details: z.string().default('') })
    .safeParse(value);
  if (failure.success)
    throw new CniError(failure.data.code, `${type}: ${failure.data.msg}`, failure.data.details);
  throw new CniError(codes.decodingFailure, `ipam.type: ${type} fails and does not say why`, outcome.output);
}

/** Addresses that the runtime wants the pod to have. */
export const requestedIps = ({ runtimeConfig, args }: NetworkConfig) =>
  runtimeConfig?.ips ?? args?.cni?.ips ?? [];

/** `K=V;K=V`, as the runtime has it of its user. */
function readArgs(text: string): Map<string, string> {
  return new Map(
    text
      .split(';')
      .filter((pair) => pair !== '')
      .map((pair) => {
        const at = pair.indexOf('=');
        if (at < 1) throw new CniError(codes.invalidEnvironment, `CNI_ARGS: ${pair} is no pair KEY=VALUE`);
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
  );
}

/** Where the runtime names no pod, the container is one. */
function identityOf(args: ReadonlyMap<string, string>, containerId: string): PodIdentity {
  const named = (name: string, otherwise: string): string => {
    const text = args.get(name) ?? '';
    if (text === '' || nameField.safeParse(text).success) return text || otherwise;
    throw new CniError(codes.invalidEnvironment, `CNI_ARGS: ${name}: ${text} is no Kubernetes name`);
  };
  return {
    namespace: named('K8S_POD_NAMESPACE', 'default'),
    pod: named('K8S_POD_NAME', nameFor(containerId)),
    uid: args.get('K8S_POD_UID') || undefined,
  };
}

/** A container's identifier where it can be a pod's name, or one that stands for it. */
const nameFor = (containerId: string): string =>
  nameField.safeParse(containerId).success
    ? containerId
    : `container-${createHash('sha256').update(containerId).digest('hex').slice(0, 32)}`;

function valid<T extends z.ZodType>(schema: T, value: unknown, code: number, at = ''): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = issuesOf(result.error).map(({ path, message }) =>
    path === '' ? message : `${path}: ${message}`,
  );
  throw new CniError(code, at + (issues[0] ?? 'is wrong'), issues.slice(1).join('; '));
}
