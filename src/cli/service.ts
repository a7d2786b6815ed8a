// `overweft service`: what Service and EndpointSlice objects mean at a node, without a daemon.
import { Command } from 'commander';
import { Lines } from '../replay/lines.ts';
import { ServiceOracle } from '../service/oracle.ts';
import { connectionReport, serviceReport } from '../service/report.ts';
import { connectionText, serviceText } from '../service/text.ts';
import { readObjects } from '../store/file-store.ts';
import { flagged, numeric } from './flags.ts';

interface ListFlags {
  readonly manifests: string;
  readonly node?: string;
  readonly json?: true;
}

interface WhyFlags extends ListFlags {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port: string;
  readonly fromPort?: string;
}

const MANIFESTS = 'Node, Pod, Service and EndpointSlice objects';

export function serviceCommand(): Command {
  const service = new Command('service').description(
    'what the Services of a cluster are, and where they lead',
  );
  service
    .command('list')
    .description(
      'every Service as a node has it: where clients knock, which endpoints get them, which not and why',
    )
    .requiredOption('--manifests <dir>', MANIFESTS)
    .option('--node <name>', 'the node; may be left out where there is one')
    .option('--json', 'one JSON object a Service')
    .action(list);
  service
    .command('why')
    .description('where a connection to a Service would go, and why')
    .requiredOption('--manifests <dir>', MANIFESTS)
    .requiredOption('--from <end>', 'the client: NAMESPACE/POD, or an IP address')
    .requiredOption('--to <end>', 'an IP address, or NAMESPACE/SERVICE for its cluster IP')
    .requiredOption('--protocol <name>', 'TCP, UDP or SCTP')
    .requiredOption('--port <n>', 'destination port')
    .option('--from-port <n>', "the client's port, which picks one of several endpoints")
    .option('--node <name>', 'the node at which the connection arrives; by default that of the client')
    .option('--json', 'one JSON object')
    .action(why);
  return service;
}

async function list({ manifests, node, json }: ListFlags): Promise<void> {
  const oracle = new ServiceOracle(await readObjects(manifests));
  const compiler = flagged(() => oracle.at(oracle.node(node)));
  const lines = new Lines();
  for (const key of [...compiler.services.keys()].sort()) {
    const service = compiler.services.get(key);
    if (!service) continue;
    const report = serviceReport(compiler, service);
    if (lines.add(json ? JSON.stringify(report) : serviceText(report))) await lines.flush();
    if (lines.isClosed) return;
  }
  await lines.flush();
}

async function why({ manifests, from, to, protocol, port, fromPort, node, json }: WhyFlags): Promise<void> {
  const oracle = new ServiceOracle(await readObjects(manifests));
  const probe = flagged(() =>
    oracle.probe({
      from,
      to,
      protocol,
      port: numeric(port),
      ...(fromPort !== undefined && { 'from-port': numeric(fromPort) }),
      node,
    }),
  );
  const report = connectionReport(probe, oracle.ask(probe));
  const lines = new Lines();
  lines.add(json ? JSON.stringify(report) : connectionText(probe, report));
  await lines.flush();
}
