#!/bin/sh
# Installs Debian packages that are missing, when allowed to; otherwise says which and how.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "These Debian packages (or their likes here) are needed:$missing" >&2
    exit 0
fi
run=""
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then run="sudo"; else
        echo "Not allowed to install system packages. Ask somebody who is to run: apt-get install$missing" >&2
        exit 2
    fi
fi
echo "Installing system packages:$missing"
$run apt-get update -qq
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing >/dev/null
