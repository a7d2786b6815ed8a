// Label selectors (meta/v1 LabelSelector): schema, meaning and canonical form.
import { z } from 'zod';

export const labels = z.record(z.string(), z.string());
export type Labels = Readonly<Record<string, string>>;

const values = (least: number) =>
  z.array(z.string()).min(least, 'must not be empty for the operators In and NotIn');
const noValues = z
  .array(z.string())
  .max(0, 'must be absent for the operators Exists and DoesNotExist')
  .nullish();

const requirementSchema = z.discriminatedUnion(
  'operator',
  [
    z.strictObject({ key: z.string().min(1), operator: z.literal('In'), values: values(1) }),
    z.strictObject({ key: z.string().min(1), operator: z.literal('NotIn'), values: values(1) }),
    z.strictObject({ key: z.string().min(1), operator: z.literal('Exists'), values: noValues }),
    z.strictObject({ key: z.string().min(1), operator: z.literal('DoesNotExist'), values: noValues }),
  ],
  { error: 'must have operator "In", "NotIn", "Exists" or "DoesNotExist"' },
);

export const labelSelector = z.strictObject({
  matchLabels: labels.nullish(),
  matchExpressions: z.array(requirementSchema).nullish(),
});

export type LabelSelector = z.output<typeof labelSelector>;

/** Whether labels satisfy every requirement; an empty selector is satisfied by all. NotIn also holds without the key. */
export function selects({ matchLabels, matchExpressions }: LabelSelector, map: Labels): boolean {
  for (const [key, value] of Object.entries(matchLabels ?? {})) if (own(map, key) !== value) return false;
  return (matchExpressions ?? []).every((requirement) => holds(requirement, own(map, requirement.key)));
}

function holds(requirement: z.output<typeof requirementSchema>, value: string | undefined): boolean {
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.includes(value);
    case 'NotIn':
      return value === undefined || !requirement.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** The same text for selectors that are written differently but require the same. */
export function selectorText({ matchLabels, matchExpressions }: LabelSelector): string {
  const equalities = Object.entries(matchLabels ?? {}).map(([key, value]) => [key, 'In', [value]]);
  const others = (matchExpressions ?? []).map(({ key, operator, values }) => [
    key,
    operator,
    [...(values ?? [])].sort(),
  ]);
  return [...equalities, ...others]
    .map((requirement) => JSON.stringify(requirement))
    .sort()
    .join('&');
}

function own(map: Labels, key: string): string | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
