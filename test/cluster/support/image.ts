// The images of the tests' containers.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { must } from '../../support/run.ts';

/** One image for pause containers and all others: what it does is its arguments. */
export const image = 'overweft.test/tool:1';

interface Contents {
  /** Becomes the root directory: all in it belongs to root and may be executed. */
  readonly root: string;
  readonly names: readonly string[];
  /** Takes `pause` for an argument, where a pod gives no other ones. */
  readonly entrypoint: string;
  /** Such as `PATH=/bin`. */
  readonly environment?: readonly string[];
}

/** Makes the image of that name, which holds one executable. */
export async function writeToolImage(executable: string, archive: string): Promise<void> {
  const root = mkdtempSync(`${tmpdir()}/overweft-root-`);
  copyFileSync(executable, `${root}/tool`);
  await writeImage({ root, names: [image], entrypoint: '/tool' }, archive);
  rmSync(root, { recursive: true });
}

/**
 * Makes an image as an archive of an OCI image layout
 * (https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
 *
 *     oci-layout  index.json ─► manifest ─► configuration
 *                                    └────► layer, a tar of the root directory
 */
export async function writeImage(
  { root, names, entrypoint, environment = [] }: Contents,
  archive: string,
): Promise<void> {
  const scratch = mkdtempSync(`${tmpdir()}/overweft-image-`);
  const layout = `${scratch}/layout`;
  mkdirSync(`${layout}/blobs/sha256`, { recursive: true });
  const blob = (mediaType: string, content: Buffer | string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    writeFileSync(`${layout}/blobs/sha256/${hex}`, content);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(content) };
  };
  const oci = (kind: string) => `application/vnd.oci.image.${kind}`;

  const asRoot = ['--owner=0', '--group=0', '--mode=755'];
  await must('tar', ['-C', root, ...asRoot, '-cf', `${scratch}/layer.tar`, '.']);
  const layer = blob(oci('layer.v1.tar'), readFileSync(`${scratch}/layer.tar`));
  const configuration = {
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    os: 'linux',
    config: { Entrypoint: [entrypoint], Cmd: ['pause'], Env: environment },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: oci('manifest.v1+json'),
    config: blob(oci('config.v1+json'), JSON.stringify(configuration)),
    layers: [layer],
  };
  const described = blob(manifest.mediaType, JSON.stringify(manifest));
  const index = {
    schemaVersion: 2,
    manifests: names.map((name) => ({
      ...described,
      annotations: { 'io.containerd.image.name': name },
    })),
  };
  writeFileSync(`${layout}/index.json`, JSON.stringify(index));
  writeFileSync(`${layout}/oci-layout`, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await must('tar', ['-C', layout, '-cf', archive, '.']);
  rmSync(scratch, { recursive: true });
}
