// Options of every command that tells tunnels by their UDP ports.
import { type Command, InvalidArgumentError } from 'commander';
import { type TunnelPorts, wellKnownPorts } from '../replay/inspector.ts';

export interface PortFlags {
  readonly vxlanPort: readonly number[];
  readonly genevePort: readonly number[];
}

export const withTunnelPorts = (command: Command): Command =>
  command
    .option(
      '--vxlan-port <port>',
      'one more UDP port of VXLAN beside 4789 and 8472; can be repeated',
      port,
      [],
    )
    .option('--geneve-port <port>', 'one more UDP port of GENEVE beside 6081; can be repeated', port, []);

export const tunnelPorts = ({ vxlanPort, genevePort }: PortFlags): TunnelPorts => ({
  vxlan: [...wellKnownPorts.vxlan, ...vxlanPort],
  geneve: [...wellKnownPorts.geneve, ...genevePort],
});

function port(text: string, before: readonly number[]): readonly number[] {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65535) return [...before, number];
  throw new InvalidArgumentError('a port is a number from 1 to 65535.');
}
