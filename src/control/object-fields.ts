// Fields that Kubernetes objects of several kinds have in common.
import { z } from 'zod';
import { nameField } from '../config/fields.ts';
import { labels } from './selectors.ts';

export const metadataFields = {
  name: nameField,
  namespace: nameField.nullish().transform((name) => name ?? 'default'),
  uid: z.string().nullish(),
  labels: labels.nullish().transform((map) => map ?? {}),
  annotations: z.record(z.string(), z.string()).nullish(),
  creationTimestamp: z.string().nullish(),
};

export const metadata = z.looseObject(metadataFields);

/** Anything: it is nobody's business here. */
export const tolerated = z.unknown().optional();

/** ObjectMeta of meta/v1, whole. */
export const closedMetadata = z.strictObject({
  ...metadataFields,
  generateName: tolerated,
  selfLink: tolerated,
  resourceVersion: tolerated,
  generation: tolerated,
  deletionTimestamp: tolerated,
  deletionGracePeriodSeconds: tolerated,
  ownerReferences: tolerated,
  finalizers: tolerated,
  managedFields: tolerated,
});

const protocolName = z.enum(['TCP', 'UDP', 'SCTP']);
export type Protocol = z.output<typeof protocolName>;

/** TCP where none is named. */
export const protocolField = protocolName.nullish().transform((protocol) => protocol ?? 'TCP');
