// The version as package.json states it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Resolved through #build, the one path that is the same from source and from the build. */
export function version(): string {
  const manifest = new URL('../package.json', import.meta.resolve('#build/overweft.wasm'));
  return (JSON.parse(readFileSync(fileURLToPath(manifest), 'utf8')) as { version: string }).version;
}
