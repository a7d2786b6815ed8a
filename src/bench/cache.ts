/** Where programs are kept that only the bench needs: outside the checkout, used again by the next run. */
import { homedir } from 'node:os';
import { env } from 'node:process';

/** XDG Base Directory Specification: $XDG_CACHE_HOME counts only where it is absolute. */
export const cacheFolder: string = `${
  env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : `${homedir()}/.cache`
}/overweft`;
