#!/usr/bin/env bash
# build.sh TARGET...: sets up, configures build/release where it is new and builds the targets (none: everything).
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/steps.sh"
: >"$log"
"$root/cmake/setup.sh"
build=$root/build/release
mkdir -p "$build"
exec 9>"$build/.lock"  # one build at a time in this folder
flock 9
started=$(mktemp "$build/.started.XXXX")
trap 'rm -f "$started"' EXIT
if [[ ! -e $build/build.ninja ]]; then
  step "configuring" cmake -S "$root" --preset release
fi
# keep the machine usable: one job a core, but never more than memory holds (2 GB a LibTorch file)
jobs=$(nproc)
memory_jobs=$(awk '/^MemAvailable/ { print int($2 / 2000000) }' /proc/meminfo)
((jobs = jobs < memory_jobs ? jobs : memory_jobs, jobs = jobs < 1 ? 1 : jobs)) || true
step "building" ninja -C "$build" -j "$jobs" "$@"
# what ./pawl compares sources with: older than any edit made during the build
deps_dir >"$build/.built"
touch -r "$started" "$build/.built"
