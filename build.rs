//! The time zones that are compiled in, and linker settings for a Node-API addon.

#[path = "build/zones.rs"]
mod zones;

use std::env::var;
use std::fmt::Write as _;
use std::path::Path;

/// Functions that moved into a newer version of glibc without changing, and the version in which they had been before. Linked
/// as they are, each would keep the addon from every glibc older than the one it was built beside.
const MOVED: [(&str, &str); 22] = [
    ("dlclose", "2.2.5"),
    ("dlerror", "2.2.5"),
    ("dlopen", "2.2.5"),
    ("dlsym", "2.2.5"),
    ("exp", "2.2.5"),
    ("pthread_attr_getguardsize", "2.2.5"),
    ("pthread_attr_getstack", "2.2.5"),
    ("pthread_attr_setstacksize", "2.2.5"),
    ("pthread_create", "2.2.5"),
    ("pthread_detach", "2.2.5"),
    ("pthread_getattr_np", "2.2.5"),
    ("pthread_join", "2.2.5"),
    ("pthread_key_create", "2.2.5"),
    ("pthread_key_delete", "2.2.5"),
    ("pthread_mutex_consistent", "2.12"),
    ("pthread_mutex_trylock", "2.2.5"),
    ("pthread_mutexattr_destroy", "2.2.5"),
    ("pthread_mutexattr_init", "2.2.5"),
    ("pthread_mutexattr_setpshared", "2.2.5"),
    ("pthread_mutexattr_setrobust", "2.12"),
    ("pthread_setname_np", "2.12"),
    ("pthread_setspecific", "2.2.5"),
];

/// Functions that older versions do not have by this name, in assembly: `stat` had its struct's version (1) as a first
/// argument, and `gettid` had to be asked of the kernel.
const NEW: [(&str, &str); 3] = [
    (
        "fstat64",
        ".symver glibc_fxstat64, __fxstat64@GLIBC_2.2.5
         mov rdx, rsi
         mov esi, edi
         mov edi, 1
         jmp [rip + glibc_fxstat64@GOTPCREL]",
    ),
    (
        "stat64",
        ".symver glibc_xstat64, __xstat64@GLIBC_2.2.5
         mov rdx, rsi
         mov rsi, rdi
         mov edi, 1
         jmp [rip + glibc_xstat64@GOTPCREL]",
    ),
    (
        "gettid",
        "mov eax, 186
         syscall
         ret",
    ),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/zones.rs");
    let folder = var("OUT_DIR").expect("cargo names a folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(Path::new(&folder).join(name), bytes).expect("cargo's folder can be written");
    };
    let zones = zones::pack();
    write("zones.txt", zones.names.as_bytes());
    write("zones.bin", &zones.records);
    if var("CARGO_FEATURE_NODE").is_err() {
        return;
    }
    napi_build::setup();
    let target = |of: &str| var(format!("CARGO_CFG_TARGET_{of}")).unwrap_or_default();
    let on_glibc = target("OS") == "linux" && target("ENV") == "gnu" && target("ARCH") == "x86_64";
    // A sanitizer's build is none of these, and has functions of its own in their place.
    let released = var("PROFILE").is_ok_and(|profile| profile == "release");
    let assembly = if on_glibc && released { for_older_glibc() } else { String::new() };
    write("glibc.s", assembly.as_bytes());
}

/// Has the linker call a few lines of assembly in place of each of these functions; the lines.
fn for_older_glibc() -> String {
    let mut assembly = String::new();
    let mut add = |name: &str, body: &str| {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap={name}");
        writeln!(
            assembly,
            ".globl __wrap_{name}\n.hidden __wrap_{name}\n.type __wrap_{name}, @function\n__wrap_{name}:\n{body}"
        )
        .expect("a string takes everything");
    };
    for (name, version) in MOVED {
        let body = format!(".symver glibc_{name}, {name}@GLIBC_{version}\njmp [rip + glibc_{name}@GOTPCREL]");
        add(name, &body);
    }
    for (name, body) in NEW {
        add(name, body);
    }
    assembly
}
