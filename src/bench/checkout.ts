import { fileURLToPath } from 'node:url';

/** Folder of the whole program, sources of the bench included; the same from TypeScript and from the build. */
export const checkout = fileURLToPath(new URL('../', import.meta.resolve('#build/overweft.wasm')));
