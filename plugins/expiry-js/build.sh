#!/usr/bin/env bash
# Builds plugins/target/expiry-js.component.wasm, unless it is newer than all that it is made of, and prints its path.
#
# Needs Node.js 20 or newer with npm. Installs componentize-qjs from npm below plugins/target. Ends with 69 when a tool
# is missing and can not be installed.
set -euo pipefail

version=0.4.5
here=$(cd "$(dirname "$0")" && pwd)
wit=$here/../../wit
target=$(mkdir -p "$here/../target" && cd "$here/../target" && pwd)
tools=$target/tools/componentize-qjs-$version
component=$target/expiry-js.component.wasm

say() { printf '%s\n' "$*" >&2; }
missing() {
    say "expiry-js can not be built: $*"
    exit 69
}

# Of two builds at a time, the second one waits and finds everything done.
if command -v flock >/dev/null; then
    exec 9>"$target/.expiry-js.lock"
    flock 9
fi

stale=
for input in "$here"/* "$wit"/*; do
    if [ ! "$component" -nt "$input" ]; then stale=yes; fi
done
if [ -z "$stale" ]; then
    say "$component is up to date"
    echo "$component"
    exit
fi

if [ ! -x "$tools/node_modules/.bin/componentize-qjs" ]; then
    command -v npm >/dev/null || missing "there is no npm (Debian: apt-get install nodejs npm)"
    say "installing componentize-qjs $version into $tools"
    npm install --silent --no-fund --no-audit --prefix "$tools" "componentize-qjs@$version" >&2 \
        || missing "npm could not install componentize-qjs $version"
fi

say "building $component"
"$tools/node_modules/.bin/componentize-qjs" --wit "$wit" --world lifecycle-policy --js "$here/expiry.js" \
    --sync --stub-wasi --opt-size --output "$component.new" >&2
mv "$component.new" "$component"
echo "$component"
