//! Functions of glibc under the versions that they had in 2018, so that the addon runs beside that glibc too: `build.rs` writes
//! the lines, and has the linker use them. Empty on every other system.

std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/glibc.s")));
