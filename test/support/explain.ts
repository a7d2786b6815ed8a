// Questions to the function behind `overweft policy why`, over manifests that must be good.
import { readManifests } from '../../src/control/manifests.ts';
import { type Explanation, PolicyOracle } from '../../src/policy/why.ts';
import { faultText } from '../../src/store/store.ts';

export interface Question {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port?: number;
}

export function explain(items: readonly object[], questions: readonly Question[]): Explanation[] {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const { objects, faults } = readManifests([{ file: 'all.json', text }]);
  if (faults.length > 0) throw new Error(faults.map(faultText).join('\n'));
  const oracle = new PolicyOracle(objects);
  return [...oracle.explain(questions.map((question) => oracle.probe(question)))];
}
