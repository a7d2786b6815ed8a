// Prints a C++ header with every numeric constant of the memory layout, so that add-on and data path read one source.
// Runs on Node 24 with type stripping.
import { root } from './runtime.mjs';

const layouts = ['memory', 'burst'];
const lines = [
  '// Generated from asm/layout by src/setup/abi.mjs.',
  '#pragma once',
  '#include <cstdint>',
  '',
  'namespace overweft::abi {',
];
for (const layout of layouts) {
  for (const [name, value] of Object.entries(await import(`${root}asm/layout/${layout}.ts`))) {
    if (typeof value !== 'number') continue;
    if (!Number.isInteger(value) || value < 0)
      throw new Error(`asm/layout/${layout}.ts: ${name} is ${value}, want an unsigned integer`);
    lines.push(`inline constexpr ${value > 0xffffffff ? 'uint64_t' : 'uint32_t'} ${name} = ${value};`);
  }
}
lines.push('}  // namespace overweft::abi', '');
process.stdout.write(lines.join('\n'));
