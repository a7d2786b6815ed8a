// From what a source holds for an object, parsed as JSON or YAML, to a validated object. Pure.
import type { z } from 'zod';
import { type Issue, issuesOf } from '../config/issues.ts';
import { identify } from './kinds.ts';
import { type Kind, kinds } from './objects.ts';

/** An object of any kind that is understood. */
export type AnyObject = z.output<(typeof kinds)[Kind]>;

/** Its kind, as every object names it. */
export interface RawObject extends Readonly<Record<string, unknown>> {
  readonly kind: string;
}

/** `ignored`: of a kind that is left alone. */
export type ObjectReading =
  | { readonly is: 'read'; readonly object: AnyObject }
  | { readonly is: 'faulty'; readonly issues: readonly Issue[] }
  | { readonly is: 'ignored' };

export function readObject(raw: RawObject): ObjectReading {
  const identity = identify(raw.kind, raw.apiVersion);
  if ('field' in identity)
    return { is: 'faulty', issues: [{ path: identity.field, message: identity.message }] };
  if (!('kind' in identity)) return { is: 'ignored' };
  const result = kinds[identity.kind].safeParse(raw);
  return result.success
    ? { is: 'read', object: result.data }
    : { is: 'faulty', issues: issuesOf(result.error) };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const namespaced = new Set<unknown>(['Pod', 'NetworkPolicy', 'Service', 'EndpointSlice'] satisfies Kind[]);

/** What a person would call an object, of a bad one as far as it can be read. */
export function nameOf({ kind, metadata }: Record<string, unknown>): string {
  const { namespace, name } = isRecord(metadata) ? metadata : {};
  const space = namespaced.has(kind) ? (namespace ?? 'default') : undefined;
  const path = [space, name].filter((part) => typeof part === 'string').join('/');
  return [kind, path].filter((part) => typeof part === 'string' && part !== '').join(' ');
}
