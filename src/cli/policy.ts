// `overweft policy`: what NetworkPolicy objects mean, without a daemon.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { explanationText, PolicyOracle, type Probe } from '../policy/why.ts';
import { Lines } from '../replay/lines.ts';
import { readObjects } from '../store/file-store.ts';
import { flagged, numeric } from './flags.ts';
import { policyDiffCommand } from './policy-diff.ts';

interface Flags {
  readonly manifests: string;
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: string;
  readonly port?: string;
  readonly probes?: string;
  readonly json?: true;
}

/** Options that tell of one connection. */
const asked = ['from', 'to', 'protocol', 'port'] as const;

export function policyCommand(): Command {
  const policy = new Command('policy').description('what the NetworkPolicy objects of a cluster mean');
  policy
    .command('why')
    .description('whether a connection may be, and which policies and rules decide')
    .requiredOption('--manifests <dir>', 'Node, Namespace, Pod and NetworkPolicy objects')
    .option('--from <end>', 'who opens it: NAMESPACE/POD, or an IP address')
    .option('--to <end>', 'whom it is for, likewise')
    .option('--protocol <name>', 'TCP, UDP, SCTP or ICMP')
    .option('--port <n>', 'destination port; none for ICMP')
    .option(
      '--probes <file>',
      'many at once: {"from","to","protocol","port"} a line, an object a line comes out',
    )
    .option('--json', 'one JSON object')
    .action(why);
  policy.addCommand(policyDiffCommand());
  return policy;
}

async function why(flags: Flags): Promise<void> {
  const superfluous = asked.find((name) => flags[name] !== undefined);
  if (flags.probes !== undefined && superfluous)
    throw new Error(`--probes and --${superfluous}: the file says what to ask`);
  const missing = asked.find((name) => name !== 'port' && flags[name] === undefined);
  if (flags.probes === undefined && missing)
    throw new Error(`--${missing} is missing: name a connection by --from, --to, --protocol and --port`);

  const oracle = new PolicyOracle(await readObjects(flags.manifests));
  const probes = flags.probes === undefined ? [single(oracle, flags)] : fromFile(oracle, flags.probes);
  const isJson = flags.json === true || flags.probes !== undefined;
  const lines = new Lines();
  let i = 0;
  for (const explanation of oracle.explain(probes)) {
    const probe = probes[i++];
    if (!probe) break;
    if (lines.add(isJson ? JSON.stringify(explanation) : explanationText(probe, explanation)))
      await lines.flush();
    if (lines.isClosed) return;
  }
  await lines.flush();
}

const single = (oracle: PolicyOracle, { from, to, protocol, port }: Flags): Probe =>
  flagged(() => oracle.probe({ from, to, protocol, ...(port !== undefined && { port: numeric(port) }) }));

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Error(`is no JSON: ${(error as Error).message}`);
  }
}

/** @throws Error with a line for each fault of each line */
function fromFile(oracle: PolicyOracle, file: string): Probe[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file}: cannot be read: ${(error as Error).message}`);
  }
  const faults: string[] = [];
  const probes = text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [oracle.probe(parsed(line))];
    } catch (error) {
      faults.push((error as Error).message.replace(/^/gm, `${file}: line ${i + 1}: `));
      return [];
    }
  });
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return probes;
}
