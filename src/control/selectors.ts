// Label selectors (meta/v1 LabelSelector): schema, meaning and canonical form.
import { z } from 'zod';

/** meta/v1 validation: a name, perhaps behind a DNS subdomain. */
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

const keyFault = 'must be a label name such as app or example.com/app';
const valueFault =
  'must be a label value: at most 63 letters, digits, "-", "_" and ".", the first and the last no sign';

const labelKey = z.string().regex(LABEL_KEY, keyFault);
const labelValue = z.string().regex(LABEL_VALUE, valueFault);

/** Nothing could select by labels that the API server does not admit: what they were meant to isolate would be open. */
export const labels = z.record(z.string(), z.string()).superRefine((map, context) => {
  for (const [key, value] of Object.entries(map)) {
    if (!LABEL_KEY.test(key)) context.addIssue({ code: 'custom', path: [key], message: keyFault });
    if (!LABEL_VALUE.test(value)) context.addIssue({ code: 'custom', path: [key], message: valueFault });
  }
});
export type Labels = Readonly<Record<string, string>>;

const values = (least: number) =>
  z.array(labelValue).min(least, 'must not be empty for the operators In and NotIn');
const noValues = z
  .array(z.string())
  .max(0, 'must be absent for the operators Exists and DoesNotExist')
  .nullish();

const requirementSchema = z.discriminatedUnion(
  'operator',
  [
    z.strictObject({ key: labelKey, operator: z.literal('In'), values: values(1) }),
    z.strictObject({ key: labelKey, operator: z.literal('NotIn'), values: values(1) }),
    z.strictObject({ key: labelKey, operator: z.literal('Exists'), values: noValues }),
    z.strictObject({ key: labelKey, operator: z.literal('DoesNotExist'), values: noValues }),
  ],
  { error: 'must have operator "In", "NotIn", "Exists" or "DoesNotExist"' },
);

export const labelSelector = z.strictObject({
  matchLabels: labels.nullish(),
  matchExpressions: z.array(requirementSchema).nullish(),
});

export type LabelSelector = z.output<typeof labelSelector>;

/** Whether labels satisfy every requirement; an empty selector is satisfied by all. NotIn also holds without the key. */
export const selects = (selector: LabelSelector, map: Labels): boolean => selectorTest(selector)(map);

/** The same as a function, for a selector that is asked about many. */
export function selectorTest({ matchLabels, matchExpressions }: LabelSelector): (map: Labels) => boolean {
  const equalities = Object.entries(matchLabels ?? {});
  const requirements = matchExpressions ?? [];
  return (map) => {
    for (const [key, value] of equalities) if (own(map, key) !== value) return false;
    return requirements.every((requirement) => holds(requirement, own(map, requirement.key)));
  };
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
