// The images of the tests' containers.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { must } from '../../support/run.ts';

/** One image for pause containers and all others: what it does is its arguments. */
export const image = 'overweft.test/tool:1';

/**
 * Makes an image that holds one executable, `/tool`, as an archive of an OCI image layout
 * (https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
 *
 *     oci-layout  index.json ─► manifest ─► configuration
 *                                    └────► layer, a tar of the root directory
 */
export async function writeImage(executable: string, archive: string): Promise<void> {
  const scratch = mkdtempSync(`${tmpdir()}/overweft-image-`);
  const layout = `${scratch}/layout`;
  mkdirSync(`${layout}/blobs/sha256`, { recursive: true });
  const blob = (mediaType: string, content: Buffer | string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    writeFileSync(`${layout}/blobs/sha256/${hex}`, content);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(content) };
  };
  const oci = (kind: string) => `application/vnd.oci.image.${kind}`;

  copyFileSync(executable, `${scratch}/tool`);
  await must('tar', [
    '-C',
    scratch,
    '--owner=0',
    '--group=0',
    '--mode=755',
    '-cf',
    `${scratch}/layer.tar`,
    'tool',
  ]);
  const layer = blob(oci('layer.v1.tar'), readFileSync(`${scratch}/layer.tar`));
  const configuration = {
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    os: 'linux',
    config: { Entrypoint: ['/tool'], Cmd: ['pause'] },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: oci('manifest.v1+json'),
    config: blob(oci('config.v1+json'), JSON.stringify(configuration)),
    layers: [layer],
  };
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        ...blob(manifest.mediaType, JSON.stringify(manifest)),
        annotations: { 'io.containerd.image.name': image },
      },
    ],
  };
  writeFileSync(`${layout}/index.json`, JSON.stringify(index));
  writeFileSync(`${layout}/oci-layout`, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await must('tar', ['-C', layout, '-cf', archive, '.']);
  rmSync(scratch, { recursive: true });
}
