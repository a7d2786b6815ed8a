// The `overweft` command line. Each command is a module that is loaded when it is asked for: start-up stays quick.
import { Command } from 'commander';
import { bearClosedStreams } from './cli/streams.ts';
import { version } from './version.ts';

/** Commands in the order in which help lists them. */
const commands: readonly { name: string; summary: string; load: () => Promise<Command> }[] = [
  {
    name: 'run',
    summary: 'run the node daemon',
    load: async () => (await import('./cli/run.ts')).runCommand(),
  },
  {
    name: 'lab',
    summary: 'a complete cluster in network namespaces on this machine',
    load: async () => (await import('./cli/lab.ts')).labCommand(),
  },
  {
    name: 'enter',
    summary: "run a command, or a shell, in the namespaces of an ordinary user's lab or daemon",
    load: async () => (await import('./cli/enter.ts')).enterCommand(),
  },
  {
    name: 'status',
    summary: 'what the running daemon has: peers, ports, tables, counters',
    load: async () => (await import('./cli/status.ts')).statusCommand(),
  },
  {
    name: 'doctor',
    summary: 'check this host, and say what to do about each finding',
    load: async () => (await import('./cli/doctor.ts')).doctorCommand(),
  },
  {
    name: 'connectivity',
    summary: 'probe every pair of nodes and pods, and name what fails and why',
    load: async () => (await import('./cli/connectivity.ts')).connectivityCommand(),
  },
  {
    name: 'cni',
    summary: 'install the CNI plugin on this host, and remove it',
    load: async () => (await import('./cli/cni.ts')).cniCommand(),
  },
  {
    name: 'replay',
    summary: 'run captures through the data path: what each packet is, what becomes of it, and why',
    load: async () => (await import('./cli/replay.ts')).replayCommand(),
  },
  {
    name: 'capture',
    summary: 'capture at an interface, decoded live or written with verdicts',
    load: async () => (await import('./cli/capture.ts')).captureCommand(),
  },
  {
    name: 'policy',
    summary: 'why policy allows or denies a connection, and what a change of it would',
    load: async () => (await import('./cli/policy.ts')).policyCommand(),
  },
  {
    name: 'service',
    summary: 'what the Services are at a node, and where a connection to one would go',
    load: async () => (await import('./cli/service.ts')).serviceCommand(),
  },
  {
    name: 'bench',
    summary: 'measure Overweft beside its peers in one run',
    load: async () => (await import('./cli/bench.ts')).benchCommand(),
  },
];

const program = new Command('overweft')
  .description('A packet-level overlay data plane')
  .version(version())
  .enablePositionalOptions()
  .showHelpAfterError();

bearClosedStreams();
const [, , first, second] = process.argv;
const asked = commands.find(({ name }) => name === (first === 'help' ? second : first));
if (asked) {
  program.addCommand(await asked.load());
} else {
  // Named for help and for a typing error's "did you mean", never run.
  for (const { name, summary } of commands) program.command(name).description(summary);
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`overweft: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
