#!/bin/bash
# rpmlint.sh RPM: no error but those that packaging/rpm/rpmlint.toml explains. Warnings are shown.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
said=$(rpmlint --config "$here/../rpm/rpmlint.toml" "$1" || true)
# A tool that has not looked has nothing to say.
grep -q '1 packages and 0 specfiles checked' <<<"$said" || { echo "$said"; exit 1; }
if grep ' E: ' <<<"$said"; then
    exit 1
fi
echo "  rpmlint: no errors, $(grep -c ' W: ' <<<"$said" || true) warnings"
echo "1 passed, 0 failed"
