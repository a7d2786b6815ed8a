// What the runner knows of a suite, and what a suite says when it ends.
import type { Cluster } from '../cluster/support/cluster.ts';

export interface Suite {
  /** As the command line and docs/conformance.md call it. */
  readonly name: string;
  /** What it is, with its version. */
  readonly title: string;
  /**
   * @param folder on the control plane's machine, for what the suite writes
   * @param only of its tests only those whose names match this regular expression
   */
  readonly run: (cluster: Cluster, folder: string, only: string | undefined) => Promise<Case[]>;
}

export interface Case {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it failed, or left itself out; one line. */
  readonly message: string;
  readonly seconds: number;
}
