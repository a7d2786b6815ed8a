// Validation errors as a user reads them: path of the field, what is wrong, what would be right.
import type { z } from 'zod';

/** One error: `path` in dotted notation with [indexes], empty for the whole document. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** Every error of a failed validation, in the order of the fields; what breaks several bounds at once is told once. */
export function issuesOf(error: z.core.$ZodError): Issue[] {
  const issues = error.issues.flatMap((issue) => flatten(issue, []));
  return [...new Map(issues.map((issue) => [`${issue.path}: ${issue.message}`, issue])).values()];
}

function flatten(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): Issue[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: pathText([...path, key]), message: 'is not a known field' }));
    case 'invalid_union': {
      const branches = issue.errors.map((errors) => errors.flatMap((inner) => flatten(inner, path)));
      // The branch with the deepest errors is the one that the writer meant.
      const depth = (issues: Issue[]) => Math.max(0, ...issues.map((one) => one.path.length));
      return (
        branches.sort((a, b) => depth(b) - depth(a))[0] ?? [{ path: pathText(path), message: issue.message }]
      );
    }
    case 'invalid_value':
      return [
        {
          path: pathText(path),
          message: `must be ${issue.values.map((v) => JSON.stringify(v)).join(' or ')}`,
        },
      ];
    case 'invalid_type':
      return [{ path: pathText(path), message: typeMessage(issue) }];
    default:
      return [{ path: pathText(path), message: issue.message }];
  }
}

function typeMessage(issue: z.core.$ZodIssueInvalidType): string {
  if (!issue.message.startsWith('Invalid input')) return issue.message;
  return issue.input === undefined && /received undefined/.test(issue.message)
    ? `is missing: must be ${article(issue.expected)}`
    : `must be ${article(issue.expected)}`;
}

const article = (type: string) => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join('');
}
