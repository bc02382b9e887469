#!/bin/sh
# Installs the Debian packages of packages.txt that are missing. With all of them there it asks nobody and costs
# nothing, so it may stand before every run of the tests.
set -eu

wanted=$(sed 's/#.*//' "$(dirname "$0")/packages.txt")
there=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii *//p' || true)
missing=""
for package in $wanted; do
    echo "$there" | grep -qx "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null; then
    as_root="sudo"
else
    echo "packages.sh: missing:$missing" >&2
    echo "    only root may install them: run this as root, or install sudo" >&2
    exit 1
fi

echo "packages.sh: installing$missing"
$as_root apt-get update -qq
# Debian starts a service right after installing it; the tests start their own, on free ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
