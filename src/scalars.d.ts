// The scalar types of AssemblyScript that the shared files asm/layout/*.ts and asm/verdict.ts name, as TypeScript sees them.
type u8 = number;
type u16 = number;
type u32 = number;
type u64 = number;
type i32 = number;
type usize = number;
