// A real API server takes every object of deploy/, field by field.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { collectionPath, type Json, type Kubernetes, kubernetes } from '../support/kubernetes.ts';
import { command, describeWith } from '../support/requires.ts';

describeWith([command('go')], 'deploy/ on Kubernetes', () => {
  let cluster: Kubernetes;

  beforeAll(async () => {
    cluster = await kubernetes();
  }, 1_800_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  it.each(['rbac.yaml', 'daemonset.yaml'])('takes %s, and knows every field', async (file) => {
    const documents = parseAllDocuments(
      readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8'),
    );
    expect(documents.length).toBeGreaterThan(0);
    for (const document of documents) {
      const object: Json = document.toJS();
      const made = await cluster.ask(
        'POST',
        `${collectionPath(object)}?dryRun=All&fieldValidation=Strict`,
        object,
      );
      expect(made.metadata.name).toBe(object.metadata.name);
    }
  });

  it('would refuse a field that it does not know', async () => {
    const pod: Json = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { container: [] } };
    const asked = cluster.ask(
      'POST',
      '/api/v1/namespaces/kube-system/pods?dryRun=All&fieldValidation=Strict',
      pod,
    );
    await expect(asked).rejects.toThrow('spec.container');
  });
});
