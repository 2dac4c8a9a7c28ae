#!/usr/bin/env bash
# Builds plugins/target/memory-python.component.wasm, unless it is newer than all that it is made of, and prints its
# path.
#
# Needs Python 3.10 or newer with venv. Installs componentize-py from PyPI into a virtual environment below
# plugins/target. Ends with 69 when a tool is missing and can not be installed.
set -euo pipefail

version=0.25.1
here=$(cd "$(dirname "$0")" && pwd)
wit=$here/../../wit
target=$(mkdir -p "$here/../target" && cd "$here/../target" && pwd)
tools=$target/tools/componentize-py-$version
made=$target/memory-python
component=$target/memory-python.component.wasm
mkdir -p "$made"

say() { printf '%s\n' "$*" >&2; }
missing() {
    say "memory-python can not be built: $*"
    exit 69
}

# Of two builds at a time, the second one waits and finds everything done.
if command -v flock >/dev/null; then
    exec 9>"$target/.memory-python.lock"
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

if [ ! -x "$tools/bin/componentize-py" ]; then
    command -v python3 >/dev/null || missing "there is no python3"
    say "installing componentize-py $version into $tools"
    python3 -m venv "$tools" >&2 \
        || missing "python3 makes no virtual environments (Debian: apt-get install python3-venv)"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$version" >&2 \
        || missing "pip could not install componentize-py $version"
fi

say "building $component"
# Python leaves what it compiled beside the module.
cp "$here/memory_provider.py" "$made"
"$tools/bin/componentize-py" --quiet -d "$wit" -d "$here/world.wit" -w larder:memory-python/plugin \
    componentize -p "$made" memory_provider -o "$component.new" >&2
mv "$component.new" "$component"
echo "$component"
