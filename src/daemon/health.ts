/**
 * Whether the daemon works, as kubelets, load balancers and service managers ask.
 *
 *     /livez     every worker answers: restarting helps where it does not
 *     /readyz    the first tables are live and nobody has asked to stop: pods can be added and talk
 *     /healthz   both, and the node is not about to go: a load balancer may send new connections here (KEP-3836)
 */
import type { Controller } from './controller.ts';

/** One answer: what is wrong, if anything. */
export interface Verdict {
  readonly ok: boolean;
  readonly error?: string;
}

export interface HealthVerdict extends Verdict {
  /** The Node object is neither being deleted nor marked by the cluster autoscaler. */
  readonly nodeEligible: boolean;
}

/** The part of a Node object that says that it is about to go. */
export interface LeavingNode {
  readonly metadata: { readonly deletionTimestamp?: string | null | undefined };
  readonly spec?:
    | { readonly taints?: readonly { readonly key: string }[] | null | undefined }
    | null
    | undefined;
}

export interface HealthParts {
  readonly controller: Pick<Controller, 'live' | 'fault'>;
  /** Resolves when each worker has answered between two bursts; rejects when one cannot. */
  readonly askWorkers: () => Promise<unknown>;
  /** What is wrong with the store, a line each. */
  readonly storeFaults: () => readonly string[];
  /** This node's object; undefined where there is none. */
  readonly node: () => LeavingNode | undefined;
}

/** A worker answers within 100 ms; a machine under load may take its time. */
const WORKERS_MS = 5_000;

/** ToBeDeletedTaint, k8s.io/kubernetes/pkg/proxy/healthcheck. */
const LEAVING_TAINT = 'ToBeDeletedByClusterAutoscaler';

export class Health {
  readonly #parts: HealthParts;
  #asked: Promise<Verdict> | undefined;
  #isStopping = false;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** From now on it is not ready. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Those who ask at the same time share one look. */
  live(): Promise<Verdict> {
    this.#asked ??= this.#lookAtWorkers().finally(() => {
      this.#asked = undefined;
    });
    return this.#asked;
  }

  ready(): Verdict {
    if (this.#isStopping) return { ok: false, error: 'the daemon is stopping' };
    const { controller, storeFaults } = this.#parts;
    if (controller.live) return { ok: true };
    return { ok: false, error: [controller.fault ?? 'no tables are live yet', ...storeFaults()].join('; ') };
  }

  async healthy(): Promise<HealthVerdict> {
    const nodeEligible = isEligible(this.#parts.node());
    const ready = this.ready();
    const verdict = ready.ok ? await this.live() : ready;
    if (!verdict.ok || nodeEligible) return { ...verdict, nodeEligible };
    return { ok: false, nodeEligible, error: 'the node is about to be deleted' };
  }

  async #lookAtWorkers(): Promise<Verdict> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`a worker has not answered for ${WORKERS_MS} ms`)),
        WORKERS_MS,
      );
    });
    const answers = this.#parts.askWorkers();
    try {
      await Promise.race([answers, late]);
      return { ok: true };
    } catch (error) {
      answers.catch(() => {}); // Its own patience may end later.
      return { ok: false, error: (error as Error).message };
    } finally {
      clearTimeout(timer);
    }
  }
}

const isEligible = (node: LeavingNode | undefined): boolean =>
  !node?.metadata.deletionTimestamp && !node?.spec?.taints?.some(({ key }) => key === LEAVING_TAINT);
