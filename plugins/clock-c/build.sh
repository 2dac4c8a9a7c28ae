#!/usr/bin/env bash
# Builds plugins/target/clock-c.component.wasm, unless it is newer than all that it is made of, and prints its path.
#
# Needs clang with the target wasm32 and wasm-ld (Debian: clang-19 and lld-19, which root has installed for it), cargo,
# and larder itself: the program that LARDER names, or else the one that cargo builds here. Installs wit-bindgen from
# crates.io below plugins/target. Ends with 69 when a tool is missing and can not be installed.
set -euo pipefail

version=0.60.0
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
wit=$root/wit
target=$root/plugins/target
tools=$target/tools/wit-bindgen-$version
made=$target/clock-c
component=$target/clock-c.component.wasm
mkdir -p "$made"

say() { printf '%s\n' "$*" >&2; }
missing() {
    say "clock-c can not be built: $*"
    exit 69
}

# Of two builds at a time, the second one waits and finds everything done.
if command -v flock >/dev/null; then
    exec 9>"$target/.clock-c.lock"
    flock 9
fi

stale=
for input in "$here"/* "$here"/libc/* "$wit"/*; do
    if [ ! "$component" -nt "$input" ]; then stale=yes; fi
done
if [ -z "$stale" ]; then
    say "$component is up to date"
    echo "$component"
    exit
fi

# The first clang that compiles and links for wasm32.
find_clang() {
    local found
    for found in ${CC:-} clang-19 clang; do
        if echo 'int answer(void) { return 42; }' | "$found" --target=wasm32 -nostdlib -Wl,--no-entry -x c - \
            -o "$made/probe.wasm" 2>/dev/null; then
            echo "$found"
            return
        fi
    done
    return 1
}

if ! clang=$(find_clang); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing clang-19 and lld-19"
        { apt-get update && apt-get install --yes --no-install-recommends clang-19 lld-19; } >"$made/apt.log" 2>&1 \
            || missing "apt-get could not install clang-19 and lld-19 ($made/apt.log)"
    fi
    clang=$(find_clang) || missing "there is no clang that links for wasm32 (Debian: apt-get install clang-19 lld-19)"
fi

if [ ! -x "$tools/bin/wit-bindgen" ]; then
    say "installing wit-bindgen $version into $tools"
    CARGO_TARGET_DIR=$target/tools/build cargo install --quiet --locked --root "$tools" --no-default-features \
        --features c,async "wit-bindgen-cli@$version" >&2 || missing "cargo could not install wit-bindgen-cli $version"
fi

say "building $component"
"$tools/bin/wit-bindgen" c "$wit" --world eviction-strategy --rename-world clock --out-dir "$made" >&2
"$clang" --target=wasm32 -mbulk-memory -O3 -std=c11 -ffreestanding -Wall -Wextra -Werror -nostdlib \
    -isystem "$here/libc" -isystem "$made" -Wl,--no-entry -Wl,--strip-all \
    "$here/clock.c" "$here/memory.c" "$made/clock.c" "$made/clock_component_type.o" -o "$made/clock.wasm"

if [ -n "${LARDER:-}" ]; then
    larder=("$LARDER")
else
    larder=(cargo run --quiet --release --manifest-path "$root/Cargo.toml" --)
fi
"${larder[@]}" --quiet plugin componentize "$made/clock.wasm" --output "$component" >&2
echo "$component"
