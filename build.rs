//! Linker settings for a Node-API addon; nothing to do for the plain limiter.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
}
