// From the text of manifest files to validated objects. Pure: knows nothing of files or watching.
import { parseAllDocuments } from 'yaml';
import type { StoreFault } from '../store/store.ts';
import { jsonDocuments, repeatedKey } from './json-text.ts';
import type {
  ClusterNetworkPolicyObject,
  Kind,
  NamespaceObject,
  NetworkPolicyObject,
  NodeObject,
  Objects,
  PodObject,
} from './objects.ts';
import { type AnyObject, isRecord, nameOf, type RawObject, readObject } from './read-object.ts';
import type { EndpointSliceObject, ServiceObject } from './services.ts';

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

/** What one file holds. */
export interface FileReading {
  readonly objects: readonly AnyObject[];
  readonly faults: readonly StoreFault[];
  readonly ignored: Readonly<Record<string, number>>;
}

/** Reads manifests of YAML (several documents each) or JSON, objects or Lists of objects. */
export const readManifests = (manifests: readonly Manifest[]): Reading =>
  joinReadings(manifests.map((manifest) => [manifest.file, readManifest(manifest)]));

export function readManifest(manifest: Manifest): FileReading {
  const reader = new ManifestReader(manifest.file);
  reader.read(manifest.text);
  return reader;
}

/**
 * What files hold together.
 * @param readings with the names of the files
 */
export function joinReadings(readings: readonly (readonly [file: string, FileReading])[]): Reading {
  const objects = {
    Node: [] as NodeObject[],
    Namespace: [] as NamespaceObject[],
    Pod: [] as PodObject[],
    NetworkPolicy: [] as NetworkPolicyObject[],
    ClusterNetworkPolicy: [] as ClusterNetworkPolicyObject[],
    Service: [] as ServiceObject[],
    EndpointSlice: [] as EndpointSliceObject[],
  };
  const faults: StoreFault[] = [];
  const ignored = noCounts();
  /** File in which each object was first seen. */
  const seen = new Map<string, string>();
  for (const [file, reading] of readings) {
    for (const fault of reading.faults) faults.push(fault);
    for (const [kind, count] of Object.entries(reading.ignored)) ignored[kind] = (ignored[kind] ?? 0) + count;
    for (const object of reading.objects) {
      const name = nameOf(object);
      const first = seen.get(name);
      if (first === undefined) {
        seen.set(name, file);
        // The schema of each kind fixes the kind, which TypeScript does not see through a loose object.
        (objects[object.kind as Kind] as AnyObject[]).push(object);
      } else {
        const message = `is taken: ${first} has the same object`;
        faults.push({ source: file, object: name, field: 'metadata.name', message });
      }
    }
  }
  const { Node, Namespace, Pod, NetworkPolicy, ClusterNetworkPolicy, Service, EndpointSlice } = objects;
  return {
    objects: {
      nodes: Node,
      namespaces: Namespace,
      pods: Pod,
      policies: NetworkPolicy,
      clusterPolicies: ClusterNetworkPolicy,
      services: Service,
      slices: EndpointSlice,
    },
    faults,
    ignored,
  };
}

/** By kind, which may be `constructor`. */
const noCounts = (): Record<string, number> => Object.create(null);

class ManifestReader implements FileReading {
  readonly objects: AnyObject[] = [];
  readonly faults: StoreFault[] = [];
  readonly ignored = noCounts();
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  read(text: string): void {
    // The platform's own parser is many times as fast, and a full cluster is megabytes.
    if (this.#file.endsWith('.json')) {
      this.#json(text);
      return;
    }
    // Kubernetes reads YAML with merge keys.
    for (const document of parseAllDocuments(text, { merge: true })) {
      try {
        const [error] = document.errors;
        if (error) throw error;
        this.#value(document.toJS(), '');
      } catch (error) {
        // An alias without its anchor, or too many of them, is found only now.
        this.#fault('', '', ((error as Error).message.split('\n')[0] ?? '').replace(/:$/, ''));
      }
    }
  }

  #json(written: string): void {
    // Editors of other systems begin files with it.
    const text = written.replace(/^\ufeff/, '');
    try {
      this.#document(text);
    } catch (error) {
      const documents = jsonDocuments(text);
      if (documents.length > 1) for (const document of documents) this.#json(document);
      // It quotes what it met, line ends and all.
      else this.#fault('', '', (error as Error).message.replace(/\s+/g, ' '));
    }
  }

  /** @throws SyntaxError where it is no JSON */
  #document(text: string): void {
    const value: unknown = JSON.parse(text);
    // The parser takes the last one, which may admit what the first one forbids.
    const repeated = repeatedKey(text);
    if (repeated !== undefined) this.#fault('', repeated, 'is there twice');
    else this.#value(value, '');
  }

  /** @param at path of the value in its document, ending with a dot or empty */
  #value(value: unknown, at: string): void {
    if (value === null || value === undefined) return;
    const kind = isRecord(value) ? value.kind : undefined;
    if (!isRecord(value) || typeof kind !== 'string') {
      this.#fault(isRecord(value) ? nameOf(value) : '', `${at}kind`, 'must name a kind, such as Pod');
    } else if (Array.isArray(value.items) && kind.endsWith('List')) {
      const type = typeOfItems(kind, value.apiVersion);
      for (const [i, item] of value.items.entries())
        this.#value(isRecord(item) ? { ...type, ...item } : item, `${at}items[${i}].`);
    } else if (kind === 'List' && (value.items ?? undefined) !== undefined) {
      this.#fault('', `${at}items`, 'must be a list of objects');
    } else {
      this.#object({ ...value, kind }, at);
    }
  }

  #object(object: RawObject, at: string): void {
    const reading = readObject(object);
    if (reading.is === 'read') this.objects.push(reading.object);
    else if (reading.is === 'ignored') this.ignored[object.kind] = (this.ignored[object.kind] ?? 0) + 1;
    else for (const { path, message } of reading.issues) this.#fault(nameOf(object), at + path, message);
  }

  #fault(object: string, field: string, message: string): void {
    this.faults.push({ source: this.#file, object, field, message });
  }
}

/** What the API server leaves out of the items of a list of one kind. */
function typeOfItems(kind: string, apiVersion: unknown): object {
  return kind === 'List' ? {} : { kind: kind.slice(0, -'List'.length), apiVersion };
}
