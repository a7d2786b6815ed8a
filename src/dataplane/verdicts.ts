// Names of the data path's verdicts, as users see them.
import { Verdict } from '../../asm/verdict.ts';

/** Printed name of each verdict, by its number: `VxlanWrongVni` is `vxlan-wrong-vni`. */
export const verdictNames: readonly string[] = Object.keys(Verdict)
  .filter((key) => Number.isNaN(Number(key)))
  .map((member) => member.replace(/(?<!^)([A-Z])/g, '-$1').toLowerCase());

/** The three outcomes that are no drop. */
export const outcomes = [Verdict.InProgress, Verdict.Forward, Verdict.Consumed] as const;
