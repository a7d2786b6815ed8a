import type { Reporter, TestModule } from 'vitest/node';

/** Says at the end what was skipped and what it needs; vitest's own summary gives a number only. */
export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Set<string>();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const reason = /\(needs [^)]+\)/.exec(test.fullName)?.[0];
        if (reason) skipped.add(`  ${module.relativeModuleId} ${reason}`);
      }
    }
    if (skipped.size > 0) console.log(['Skipped:', ...skipped].join('\n'));
  }
}
