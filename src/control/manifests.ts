// From the text of manifest files to validated objects. Pure: knows nothing of files or watching.
import { parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { issuesOf } from '../config/issues.ts';
import {
  type ClusterNetworkPolicyObject,
  type Kind,
  kinds,
  type NamespaceObject,
  type NetworkPolicyObject,
  type NodeObject,
  type Objects,
  type PodObject,
} from './objects.ts';
import type { StoreFault } from './store.ts';

/** A manifest file. */
export interface Manifest {
  readonly file: string;
  readonly text: string;
}

export interface Reading {
  /** Complete only when there are no faults. */
  readonly objects: Objects;
  readonly faults: readonly StoreFault[];
  readonly ignored: Readonly<Record<string, number>>;
}

/** Reads manifests of YAML (several documents each) or JSON, objects or Lists of objects. */
export function readManifests(manifests: readonly Manifest[]): Reading {
  const reader = new ManifestReader();
  for (const manifest of manifests) reader.read(manifest);
  return reader.reading();
}

class ManifestReader {
  readonly #nodes: NodeObject[] = [];
  readonly #namespaces: NamespaceObject[] = [];
  readonly #pods: PodObject[] = [];
  readonly #policies: NetworkPolicyObject[] = [];
  readonly #clusterPolicies: ClusterNetworkPolicyObject[] = [];
  readonly #faults: StoreFault[] = [];
  readonly #ignored: Record<string, number> = {};
  /** File in which each object was first seen. */
  readonly #seen = new Map<string, string>();

  read({ file, text }: Manifest): void {
    // The platform's own parser is many times as fast, and a full cluster is megabytes.
    if (file.endsWith('.json')) {
      this.#json(file, text);
      return;
    }
    for (const document of parseAllDocuments(text)) {
      const [error] = document.errors;
      if (error) this.#fault(file, '', '', error.message.split('\n')[0] ?? error.message);
      else this.#value(file, document.toJS(), '');
    }
  }

  #json(file: string, text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      this.#fault(file, '', '', (error as Error).message);
      return;
    }
    this.#value(file, value, '');
  }

  reading(): Reading {
    return {
      objects: {
        nodes: this.#nodes,
        namespaces: this.#namespaces,
        pods: this.#pods,
        policies: this.#policies,
        clusterPolicies: this.#clusterPolicies,
      },
      faults: this.#faults,
      ignored: this.#ignored,
    };
  }

  /** @param at path of the value in its document, ending with a dot or empty */
  #value(file: string, value: unknown, at: string): void {
    if (value === null || value === undefined) return;
    const name = isRecord(value) ? nameOf(value) : '';
    const kind = isRecord(value) ? value.kind : undefined;
    if (!isRecord(value) || typeof kind !== 'string') {
      this.#fault(file, name, `${at}kind`, 'must name a kind, such as Pod');
    } else if (Array.isArray(value.items) && kind.endsWith('List')) {
      for (const [i, item] of value.items.entries()) this.#value(file, item, `items[${i}].`);
    } else if (!isKnown(kind, value.apiVersion)) {
      this.#ignored[kind] = (this.#ignored[kind] ?? 0) + 1;
    } else {
      const result = kinds[kind].safeParse(value);
      if (result.success) this.#add(file, result.data);
      else
        for (const { path, message } of issuesOf(result.error)) this.#fault(file, name, at + path, message);
    }
  }

  #add(file: string, object: z.output<(typeof kinds)[Kind]>): void {
    const name = nameOf(object);
    const first = this.#seen.get(name);
    if (first !== undefined) {
      this.#fault(file, name, 'metadata.name', `is taken: ${first} has the same object`);
      return;
    }
    this.#seen.set(name, file);
    // The schema of each kind fixes the kind, which TypeScript does not see through a loose object.
    if (object.kind === 'Node') this.#nodes.push(object as NodeObject);
    else if (object.kind === 'Namespace') this.#namespaces.push(object as NamespaceObject);
    else if (object.kind === 'Pod') this.#pods.push(object as PodObject);
    else if (object.kind === 'NetworkPolicy') this.#policies.push(object as NetworkPolicyObject);
    else this.#clusterPolicies.push(object as ClusterNetworkPolicyObject);
  }

  #fault(source: string, object: string, field: string, message: string): void {
    this.#faults.push({ source, object, field, message });
  }
}

const groups: Readonly<Record<Kind, RegExp>> = {
  Node: /^v1$/,
  Namespace: /^v1$/,
  Pod: /^v1$/,
  // Another version in the same group is refused rather than ignored: it is meant to forbid something.
  NetworkPolicy: /^networking\.k8s\.io\//,
  ClusterNetworkPolicy: /^policy\.networking\.k8s\.io\//,
};

function isKnown(kind: string, apiVersion: unknown): kind is Kind {
  return Object.hasOwn(groups, kind) && groups[kind as Kind].test(String(apiVersion));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a person would call an object, of a bad one as far as it can be read. */
function nameOf({ kind, metadata }: Record<string, unknown>): string {
  const { namespace, name } = isRecord(metadata) ? metadata : {};
  const space = kind === 'Pod' || kind === 'NetworkPolicy' ? (namespace ?? 'default') : undefined;
  const path = [space, name].filter((part) => typeof part === 'string').join('/');
  return [kind, path].filter((part) => typeof part === 'string' && part !== '').join(' ');
}
