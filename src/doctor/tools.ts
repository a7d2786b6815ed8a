// Programs of the host that the daemon runs.
import { run } from '../host/command.ts';
import { type Finding, finding, ok, type Severity, type Subject } from './finding.ts';

interface Tool {
  readonly name: string;
  readonly version: readonly string[];
  readonly package: string;
  readonly what: string;
  readonly without: Exclude<Severity, 'ok'>;
}

const tools = ({ config }: Subject): readonly Tool[] => [
  {
    name: 'ip',
    version: ['-Version'],
    package: 'iproute2',
    what: 'sets up interfaces and routes',
    without: 'error',
  },
  {
    name: 'nsenter',
    version: ['--version'],
    package: 'util-linux',
    what: "runs it in pods' namespaces",
    without: 'error',
  },
  {
    name: 'nft',
    version: ['--version'],
    package: 'nftables',
    what: 'lets pods reach the world outside',
    without: config.masquerade.enabled ? 'warning' : 'note',
  },
  {
    name: 'ping',
    version: ['-V'],
    package: 'iputils-ping',
    what: 'is what overweft connectivity probes with',
    without: 'note',
  },
];

export const programs = (subject: Subject): Promise<Finding[]> =>
  Promise.all(
    tools(subject).map(async ({ name, version, package: debian, what, without }) => {
      try {
        const [first = ''] = (await run(name, version)).split('\n');
        return ok(name, first.trim());
      } catch {
        return finding(without, name, `is not there, or does not run; it ${what}`, `install ${debian}`);
      }
    }),
  );
