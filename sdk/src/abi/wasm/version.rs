//! The version of the SDK, in a custom section of what is built with it, for `larder plugin inspect`.

const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();

const fn bytes() -> [u8; VERSION.len()] {
    let mut bytes = [0; VERSION.len()];
    let mut at = 0;
    while at < VERSION.len() {
        bytes[at] = VERSION[at];
        at += 1;
    }
    bytes
}

#[used]
#[unsafe(link_section = "larder-sdk")]
static SECTION: [u8; VERSION.len()] = bytes();
