/** The programs of bench/traffic, compiled when they are first needed. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { env, pid } from 'node:process';
import { run } from '../host/command.ts';
import { cacheFolder } from './cache.ts';
import { checkout } from './checkout.ts';

export type TrafficProgram = 'traffic' | 'openings';

const folder = `${checkout}bench/traffic`;
const flags = ['-std=c17', '-O2', '-D_GNU_SOURCE'];

const programs = new Map<TrafficProgram, Promise<string>>();

/** @returns path of the executable */
export function compiled(name: TrafficProgram): Promise<string> {
  const known = programs.get(name) ?? compile(name);
  programs.set(name, known);
  return known;
}

async function compile(name: TrafficProgram): Promise<string> {
  const source = `${folder}/${name}.c`;
  const hash = createHash('sha256').update(flags.join(' '));
  for (const file of [source, `${folder}/common.h`]) hash.update(readFileSync(file));
  const program = `${cacheFolder}/${name}-${hash.digest('hex').slice(0, 16)}`;
  if (existsSync(program)) return program;
  mkdirSync(cacheFolder, { recursive: true });
  await run(env.CC ?? 'cc', [...flags, '-o', `${program}.${pid}`, source], { patienceMs: 60_000 });
  renameSync(`${program}.${pid}`, program);
  return program;
}
