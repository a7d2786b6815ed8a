// Kubernetes' own tests of NetworkPolicy.
import { readFileSync } from 'node:fs';
import { admin } from '../../cluster/support/control-plane.ts';
import { goTools } from '../../support/go-tools.ts';
import { follow } from '../follow.ts';
import type { Case, Suite } from '../suite.ts';

/** Tests at once: most of their time they wait. */
const processes = 3;

export const networkPolicy: Suite = {
  name: 'network-policy',
  title: 'NetworkPolicy in the end-to-end tests of Kubernetes 1.37.1',
  run: async ({ control, controlPlane }, folder, only = 'Netpol') => {
    const tools = await goTools('ginkgo', 'kubectl', 'network-policy.test');
    await follow(control, 'network-policy', [
      // A machine's programs begin in a directory outside of it, which has no name there.
      ...['env', `--chdir=${folder}`],
      tools.ginkgo,
      `--procs=${processes}`,
      '--timeout=6h',
      '--no-color',
      `--output-dir=${folder}`,
      '--json-report=network-policy.json',
      `--focus=${only}`,
      // No kernel without the module speaks SCTP.
      '--skip=Feature:SCTPConnectivity',
      tools['network-policy.test'],
      '--',
      `--kubeconfig=${controlPlane.kubeconfig(admin, control.folder)}`,
      `--kubectl-path=${tools.kubectl}`,
      '--provider=skeleton',
      '--num-nodes=2',
      '--disable-log-dump',
    ]);
    const [suite] = JSON.parse(readFileSync(`${folder}/network-policy.json`, 'utf8'));
    return (suite.SpecReports as SpecReport[]).filter(wasRun).map(caseOf);
  },
};

/** https://pkg.go.dev/github.com/onsi/ginkgo/v2/types#SpecReport */
interface SpecReport {
  readonly LeafNodeType: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeText: string;
  readonly State: string;
  /** In nanoseconds. */
  readonly RunTime: number;
  readonly Failure?: { readonly Message: string };
}

/** A test that was asked for, which may leave itself out with a message, or a set-up that failed. */
const wasRun = ({ LeafNodeType, State, Failure }: SpecReport) =>
  LeafNodeType === 'It' ? State !== 'skipped' || Failure?.Message : State !== 'passed';

const caseOf = (report: SpecReport): Case => ({
  name: [...(report.ContainerHierarchyTexts ?? []), report.LeafNodeText || report.LeafNodeType].join(' '),
  outcome: report.State === 'passed' || report.State === 'skipped' ? report.State : 'failed',
  message: (report.Failure?.Message ?? '').trim().split('\n')[0] ?? '',
  seconds: report.RunTime / 1e9,
});
