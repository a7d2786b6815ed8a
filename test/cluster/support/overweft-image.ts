// The image of deploy/Containerfile, made without an engine that could run it: what its last stage copies and links, and
// the programs of the Debian packages that it installs, as this machine has them.
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { must, run } from '../../support/run.ts';
import { writeImage } from './image.ts';

const checkout = fileURLToPath(new URL('../../../', import.meta.url));
/** Where the Containerfile has it. */
const home = '/opt/overweft';
/** Of the image that it starts from, as far as `deploy/overweft` needs it. */
const base = ['/bin/sh', '/usr/bin/dirname', '/usr/bin/readlink'];

/** @param name with its registry, as container runtimes spell it out */
export async function writeOverweftImage(name: string, archive: string): Promise<void> {
  const root = mkdtempSync(`${tmpdir()}/overweft-root-`);
  const stage = lastStage();
  const put = (from: string, to: string) =>
    cpSync(from, `${root}${to}`, { recursive: true, dereference: true, filter: isNeeded });
  for (const [from, to] of stage.copies) {
    if (from === 'node_modules')
      for (const folder of installed()) put(checkout + folder, `${home}/${folder}`);
    else put(checkout + from, to);
  }
  for (const file of [...base, ...(await programsOf(stage.packages))]) put(file, file);
  for (const library of await librariesOf(globSync(`${root}/**`).filter(isExecutable))) put(library, library);
  for (const [target, link] of [...stage.links, ['/run', '/var/run'] as const]) {
    mkdirSync(dirname(`${root}${link}`), { recursive: true });
    symlinkSync(target, `${root}${link}`);
  }
  const environment = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
  await writeImage({ root, names: [name], entrypoint: stage.entrypoint, environment }, archive);
  rmSync(root, { recursive: true });
}

function lastStage() {
  const text = readFileSync(`${checkout}deploy/Containerfile`, 'utf8').replaceAll('\\\n', ' ');
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const copies = [...stage.matchAll(/^COPY --from=build (.+) (\S+)$/gm)].flatMap(
    ([, sources = '', to = '']) =>
      sources.split(' ').map((source): [string, string] => {
        const from = source.replace(`${home}/`, '');
        return [from, join(home, to.endsWith('/') ? `${to}${basename(from)}` : to)];
      }),
  );
  const [, packages = ''] = /apt-get install -y --no-install-recommends ([^&]+)/.exec(stage) ?? [];
  const [, entrypoint = ''] = /^ENTRYPOINT \["([^"]+)"\]$/m.exec(stage) ?? [];
  return {
    copies,
    packages: packages.trim().split(' '),
    links: [...stage.matchAll(/^RUN ln -s (\S+) (\S+)$/gm)].map(([, to = '', at = '']) => [to, at] as const),
    entrypoint,
  };
}

/** Node's headers and manual, and what packages were built from, are most of what the real image has. */
const isNeeded = (file: string): boolean =>
  !/\/node-linux-\w+\/(include|share)$|\/node_modules\/(nan|cap\/deps)$|\.map$/.test(file);

/** Folders of the npm packages that are needed at run time. */
function installed(): string[] {
  const { packages } = JSON.parse(readFileSync(`${checkout}package-lock.json`, 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(packages)
    .filter(([folder, { dev, devOptional }]) => folder !== '' && !dev && !devOptional)
    .map(([folder]) => folder)
    .filter((folder) => existsSync(checkout + folder));
}

async function programsOf(packages: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  // A library's package may have another name here, and what needs it brings it.
  for (const name of packages.filter((name) => !name.startsWith('lib')))
    files.push(...(await must('dpkg', ['-L', name])).split('\n'));
  return files.filter((file) => /^(\/usr)?\/s?bin\/[^/]+$/.test(file) && existsSync(file));
}

const isExecutable = (file: string): boolean => /\/s?bin\/[^/]+$|\.node$/.test(file);

/** Shared libraries and the loader; what is no dynamic executable has none. */
async function librariesOf(files: readonly string[]): Promise<Set<string>> {
  const { stdout } = await run('ldd', files);
  return new Set([...stdout.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path = '']) => path));
}
