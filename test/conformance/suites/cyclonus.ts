// cyclonus generates policies, tries them on pods, and compares with what it takes them to mean itself.
import { readFileSync } from 'node:fs';
import { admin } from '../../cluster/support/control-plane.ts';
import { goTools } from '../../support/go-tools.ts';
import { follow } from '../follow.ts';
import type { Suite } from '../suite.ts';

export const cyclonus: Suite = {
  name: 'cyclonus',
  title: 'Cases of cyclonus 0.5.6',
  run: async ({ control, controlPlane }, folder, only = '') => {
    const tools = await goTools('cyclonus');
    const report = `${folder}/cyclonus.json`;
    await follow(control, 'cyclonus', [tools.cyclonus, `-only=${only}`, `-report=${report}`], {
      KUBECONFIG: controlPlane.kubeconfig(admin, control.folder),
    });
    return JSON.parse(readFileSync(report, 'utf8'));
  },
};
