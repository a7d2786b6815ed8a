// What is needed beyond Node: each Debian package with the command or header that shows it is there, however it came.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { env, getuid, stderr } from 'node:process';
import { run, SetupError, step } from './steps.mjs';

/** @typedef {'build' | 'lab' | 'test' | 'check'} Purpose */

/** @type {{package: string, purpose: Purpose, command?: string, file?: string}[]} */
const packages = [
  { package: 'python3', purpose: 'build', command: 'python3' },
  { package: 'make', purpose: 'build', command: 'make' },
  { package: 'g++', purpose: 'build', command: 'g++' },
  { package: 'libpcap-dev', purpose: 'build', file: '/usr/include/pcap/pcap.h' },
  { package: 'iproute2', purpose: 'lab', command: 'ip' },
  { package: 'iputils-ping', purpose: 'lab', command: 'ping' },
  { package: 'bind9-dnsutils', purpose: 'test', command: 'dig' },
  { package: 'ethtool', purpose: 'test', command: 'ethtool' },
  { package: 'libseccomp-dev', purpose: 'test', file: '/usr/include/seccomp.h' },
  { package: 'nftables', purpose: 'lab', command: 'nft' },
  { package: 'openvswitch-switch', purpose: 'test', command: 'ovs-vswitchd' },
  { package: 'pkg-config', purpose: 'test', command: 'pkg-config' },
  { package: 'python3-scapy', purpose: 'test', file: '/usr/lib/python3/dist-packages/scapy/__init__.py' },
  { package: 'tshark', purpose: 'test', command: 'tshark' },
  { package: 'clang-format', purpose: 'check', command: 'clang-format' },
];

const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** @param {string} name */
export function hasCommand(name) {
  return [...(env.PATH ?? '').split(delimiter), ...systemFolders].some((folder) => {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * @param {Purpose[]} purposes
 * @returns names of Debian packages
 */
export function missingPackages(purposes) {
  return packages
    .filter(({ purpose }) => purposes.includes(purpose))
    .filter(({ command, file }) => !(command ? hasCommand(command) : existsSync(file ?? '')))
    .map((entry) => entry.package);
}

/**
 * Installs what is missing when run as root; otherwise prints the command that does.
 * @param {Purpose[]} required an error where one of theirs is missing and cannot be installed
 * @param {Purpose[]} optional these are only named
 */
export async function installDebianPackages(required, optional = []) {
  const missing = missingPackages([...required, ...optional]);
  if (missing.length === 0) return;
  stderr.write(`missing Debian packages: ${missing.join(' ')}\n`);
  const asRoot = getuid?.() === 0;
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  if (asRoot && hasCommand('apt-get')) {
    await step('Debian packages', () => aptGet(install));
    const still = missingPackages([...required, ...optional]);
    if (still.length > 0) throw new SetupError(`installed, yet missing: ${still.join(' ')}`);
    return;
  }
  const command = `${asRoot ? '' : 'sudo '}apt-get ${install.join(' ')}`;
  if (missingPackages(required).length > 0) {
    throw new SetupError(`install them, then run this again:\n  ${command}`);
  }
  stderr.write(`what needs them is left out; to install them:\n  ${command}\n`);
}

/** @param {string[]} args */
async function aptGet(args) {
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' } };
  try {
    await run('apt-get', args, options);
  } catch {
    await run('apt-get', ['update'], options);
    await run('apt-get', args, options);
  }
}
