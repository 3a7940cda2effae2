#!/bin/bash
# rpm.sh RPM NEXT: installs into an empty root by rpm's own tools, looks at what is there, upgrades, erases, looks again.
# Dependencies are not looked up (there is no rpm system here) and the scripts are not run, only parsed: rpm.py runs them.
set -euo pipefail
rpm=$1 next=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
run() { rpm --root "$root" --dbpath /var/lib/rpm "$@"; }

run --initdb
run --install --nodeps --noscripts --nouser --nogroup "$rpm" 2>/dev/null || run --install --nodeps --noscripts "$rpm"
"$root/usr/bin/ringress" check "$root/usr/share/doc/ringress/examples/shop.yaml"
test -f "$root/usr/lib/systemd/system/ringress.service"
test "$(stat -c %a "$root/etc/ringress/manifests")" = 750
echo "# edited" >>"$root/etc/ringress/ringress.yaml"
run --verify --nodeps --noscripts --nouser --nogroup ringress >"$root/verify" || true
! grep -v 'c /etc/ringress/ringress.yaml' "$root/verify"
run --upgrade --nodeps --noscripts --nouser --nogroup "$next" 2>/dev/null || run --upgrade --nodeps --noscripts "$next"
test "$(run -q --qf '%{VERSION}\n' ringress)" = 9999.0.0
grep -q '^# edited' "$root/etc/ringress/ringress.yaml"
test -z "$(find "$root" -name '*.rpmnew' -o -name '*.rpmsave')"
run --erase --noscripts ringress
left=$(find "$root" -path '*ringress*' -not -path '*/var/lib/rpm/*' -not -type d)
test "$left" = "$root/etc/ringress/ringress.yaml.rpmsave" || { echo "left: $left"; exit 1; }
for script in prein postin preun postun; do
    rpm -qp --qf "%{${script^^}}" "$rpm" | sh -n
done
echo "  rpm: installed, verified, upgraded, erased; an edited ringress.yaml is kept beside"
echo "1 passed, 0 failed"
