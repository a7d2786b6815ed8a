// `overweft doctor`: whether this host can run a daemon, and what to do where it cannot.
import { Command } from 'commander';
import { examine } from '../doctor/doctor.ts';
import type { Finding } from '../doctor/finding.ts';
import { table } from './table.ts';

interface Flags {
  readonly config: string;
  readonly binDirectory: string;
  readonly json?: true;
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check this host: what the daemon needs, what is in its way, and what to do about it')
    .option('--config <file>', "the daemon's configuration", '/etc/overweft/config.yaml')
    .option('--bin-directory <path>', 'where runtimes look for plugins', '/opt/cni/bin')
    .option('--json', 'one JSON object a finding, a line each')
    .action(async ({ config, binDirectory, json }: Flags) => {
      const findings = await examine({ config, binDirectory });
      const lines = findings.map((one) => `${JSON.stringify(one)}\n`).join('');
      process.stdout.write(json ? lines : text(findings));
      if (findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
    });
}

function text(findings: readonly Finding[]): string {
  const rows = findings.flatMap(({ check, severity, message, advice }) => [
    [severity, check, message],
    ...(advice === null ? [] : [['', '', `→ ${advice}`]]),
  ]);
  const count = (severity: Finding['severity']) => findings.filter((one) => one.severity === severity).length;
  return `${table(rows)}\n${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes\n`;
}
