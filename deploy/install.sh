#!/usr/bin/env bash
# install.sh PYTHON VENV [EXTRA]: makes VENV with mesh-adapter in it (editable), from PyPI. Called by the Makefile.
set -euo pipefail
python=$1 venv=$2 extra=${3:-}

fail() { echo "install: $*" >&2; exit 1; }

command -v "$python" >/dev/null || fail "$python is not there: apt-get install python3 python3-venv, or make PYTHON=/path/to/python3"
"$python" - <<'EOF' || fail "$python is $("$python" --version 2>&1); 3.11 or newer is needed: make PYTHON=/path/to/python3.11"
import sys
sys.exit(sys.version_info < (3, 11))
EOF

if [ ! -x "$venv/bin/python" ]; then
    echo "install: making $venv"
    if ! "$python" -m venv "$venv" 2>/dev/null; then
        rm -rf "$venv"
        echo "install: Debian's python3-venv is missing, installing it"
        sudo=""
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        $sudo apt-get update -qq && $sudo apt-get install -y -qq python3-venv >/dev/null \
            || fail "python3-venv cannot be installed: apt-get install python3-venv, then again"
        "$python" -m venv "$venv"
    fi
fi

target=".${extra:+[$extra]}"
echo "install: packages for $target (a minute the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$target" \
    || fail "pip could not install $target; the lines above say why"
