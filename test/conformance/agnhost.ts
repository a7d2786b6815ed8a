// The image that all pods of the suites run.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { writeImage } from '../cluster/support/image.ts';
import { goTools } from '../support/go-tools.ts';

/** As Kubernetes 1.37.1 and cyclonus 0.5.6 call it; one image does for both. */
const names = [
  'registry.k8s.io/e2e-test-images/agnhost:2.66.1',
  'docker.io/mfenwick100/cyclonus-worker:latest',
];

/** Writes the image's archive: `/agnhost`, and `/worker`, which tries connections. */
export async function writeAgnhost(archive: string): Promise<void> {
  const tools = await goTools('agnhost', 'cyclonus-worker');
  const root = mkdtempSync(`${tmpdir()}/overweft-root-`);
  copyFileSync(tools.agnhost, `${root}/agnhost`);
  copyFileSync(tools['cyclonus-worker'], `${root}/worker`);
  await writeImage({ root, names, entrypoint: '/agnhost' }, archive);
  rmSync(root, { recursive: true });
}
