#!/bin/sh
# Compare the kernels for ARM with the reference, on a processor that QEMU emulates.
#
#     sh tests/simulator/plan/aarch64.sh [BACKEND [SIDE [PROGRAMS]]]
#
# The arguments are those of tests.simulator.plan.guarded; default: fast:any end 20. Needs Debian
# 12's apt-get and the package qemu-user-static, and the packages of .venv. Python 3.11 and NumPy for
# aarch64 are kept in a folder of TMPDIR.
set -eu

root=$(cd "$(dirname "$0")/../../.." && pwd)
python=$root/.venv/bin/python
folder=${TMPDIR:-/tmp}/crossgrade-aarch64
qemu=qemu-aarch64-static
command -v $qemu > /dev/null || { echo "install the package qemu-user-static" >&2; exit 1; }

version() { "$python" -c "import $1; print('$1==' + $1.__version__)"; }

if [ ! -e "$folder/ready" ]; then
    mkdir -p "$folder/state/lists/partial" "$folder/cache/archives/partial" "$folder/system"
    : > "$folder/state/status"
    # The lists of this system's own packages stay as they are.
    set_apart="-o Dir::State=$folder/state -o Dir::State::status=$folder/state/status
        -o Dir::Cache=$folder/cache -o APT::Architecture=arm64 -o APT::Architectures=arm64"
    apt-get -qq $set_apart update
    apt-get -qq $set_apart install --yes --no-install-recommends --download-only \
        python3.11 libstdc++6
    for package in "$folder"/cache/archives/*.deb; do dpkg-deb -x "$package" "$folder/system"; done
    "$python" -m pip install --quiet --disable-pip-version-check --target "$folder/packages" \
        --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --python-version 3.11 \
        --only-binary=:all: "$(version numpy)" "$(version llvmlite)" "$(version pytest)" \
        "$(version hypothesis)"
    : > "$folder/ready"
fi

cd "$root"
export PYTHONHOME="$folder/system/usr" PYTHONPATH="$folder/packages" PYTHONDONTWRITEBYTECODE=1
export XDG_CACHE_HOME="$folder/compiled" OPENBLAS_NUM_THREADS=1
exec $qemu -L "$folder/system" "$folder/system/usr/bin/python3.11" \
    -m tests.simulator.plan.guarded "${1:-fast:any}" "${2:-end}" "${3:-20}"
