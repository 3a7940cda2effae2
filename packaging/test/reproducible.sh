#!/bin/bash
# Two builds of each package, in different folders and a second apart, are the same bytes.
set -euo pipefail
packaging=$(dirname "$(readlink -f "$0")")/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RINGRESS_DEB_LEVEL=1
for build in first second; do
    for kind in deb rpm image; do
        OUT=$work/$build/$kind "$packaging/build-$kind" >/dev/null
    done
    rm -rf "$work/$build/image/rootfs"
    (cd "$work/$build" && find . -type f | LC_ALL=C sort | xargs sha256sum) >"$work/$build.sums"
    sleep 1
done
diff "$work/first.sums" "$work/second.sums"
echo "  deb, rpm and image: two builds, the same bytes"
echo "1 passed, 0 failed"
