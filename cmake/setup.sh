#!/usr/bin/env bash
# ./pawl setup [--cuda] [--libtorch DIR]: Debian packages, then the pinned wheels, unpacked side by side into the
# user's cache. Does nothing when nothing is missing; safe to run twice at once, and to kill.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/steps.sh"
help_from_head "$0" "$@"

# pip matches platform tags exactly, so each one that a wheel of the lock files carries is named
platforms=(manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_25_x86_64 manylinux_2_18_x86_64
  manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux2010_x86_64 manylinux1_x86_64 any)

usage() {
  echo "pawl: $*" >&2
  exit 2
}

install_packages() {
  local wanted missing installed as_root=()
  wanted=$(sed 's/#.*//' "$root/cmake/debian-packages.txt" | xargs -n1 | sort)
  if ! command -v dpkg-query >/dev/null; then
    echo "pawl: this is not Debian; needed are the equivalents of: ${wanted//$'\n'/ }" >&2
    return
  fi
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
    sed -n 's/^installed //p' | sort -u)
  missing=$(comm -23 <(echo "$wanted") <(echo "$installed"))
  [[ -z $missing ]] && return
  if ((EUID != 0)); then
    # ask for a password only where someone can type it
    if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
      die "these Debian packages are missing and installing them needs root:" \
        $'\n'"  apt-get install --no-install-recommends ${missing//$'\n'/ }"
    fi
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  step "updating the package lists" "${apt[@]}" update
  # shellcheck disable=SC2086  # one word a package
  step "installing $(wc -w <<<"$missing") Debian packages" \
    "${apt[@]}" install --no-install-recommends $missing
}

# What Pawl needs of each wheel; the Python files stay out.
wanted_files() {
  case $1 in
    torch-*) echo 'torch/lib/lib*' 'torch/include/*' 'torch-*/LICENSE' 'torch-*/NOTICE' ;;
    mujoco_core-*) echo 'mujoco/libmujoco*' 'mujoco/include/*' 'mujoco/plugin/*' 'mujoco_core-*/LICENSE*' ;;
    gymnasium-*) echo 'gymnasium/envs/mujoco/assets/*' 'gymnasium-*/LICENSE*' ;;
    *) echo 'nvidia/*/lib/*' 'nvidia/*/include/*' '*.dist-info/*icense*' '*.dist-info/*ICENSE*' ;;
  esac
}

# fetch LOCK_FILE FOLDER: downloads the wheels the lock names and unpacks them into the empty folder.
fetch() {
  local lock=$1 folder=$2 wheel tags=()
  for tag in "${platforms[@]}"; do tags+=(--platform "$tag"); done
  step "downloading $(grep -c == "$lock") wheels" /usr/bin/python3 -m pip download \
    --disable-pip-version-check --no-cache-dir --progress-bar off --no-deps --require-hashes \
    --only-binary=:all: "${tags[@]}" --python-version 3.12 --implementation cp --abi cp312 --abi none \
    -r "$lock" -d "$folder/wheels"
  step "unpacking" unpack "$folder"
}

unpack() {
  local folder=$1 wheel patterns
  for wheel in "$folder"/wheels/*.whl; do
    read -ra patterns <<<"$(wanted_files "${wheel##*/}")"
    # 11: a pattern without a match
    unzip -q -o "$wheel" "${patterns[@]}" -x '*.py' '*libtorch_python*' '*libshm*' '*.a' -d "$folder" || (($? == 11)) || return
    rm "$wheel"
  done
  rmdir "$folder/wheels"
}

install_wheels() {
  local deps lock=$root/cmake/deps.lock
  deps=$(deps_dir)
  [[ -e $deps/.complete ]] && return
  if [[ $deps == *-notorch ]]; then
    lock=$deps.lock
    grep -v -e '^torch' -e '^nvidia' "$root/cmake/deps.lock" >"$lock"
  fi
  rm -rf "$deps.tmp"
  mkdir "$deps.tmp"
  fetch "$lock" "$deps.tmp"
  touch "$deps.tmp/.complete"
  rm -rf "$deps"
  mv -T "$deps.tmp" "$deps"
  echo "pawl: dependencies are in $deps" >&2
}

# The CUDA wheels go into the same folder, where LibTorch's RPATH looks for them.
install_cuda_wheels() {
  local deps hash lock=$root/cmake/deps-cuda.lock
  deps=$(deps_dir)
  [[ $deps == *-notorch ]] && usage "--cuda belongs to the LibTorch of the wheel; yours brings its own libraries"
  hash=$(sha256sum "$lock")
  [[ -e $deps/.complete-cuda-${hash:0:16} ]] && return
  rm -rf "$deps.cuda.tmp"
  mkdir "$deps.cuda.tmp"
  fetch "$lock" "$deps.cuda.tmp"
  cp -rlf "$deps.cuda.tmp/." "$deps"
  touch "$deps/.complete-cuda-${hash:0:16}"
  rm -rf "$deps.cuda.tmp"
}

# Remembers a LibTorch by path ("wheel": the pinned one) for every build folder of this clone.
use_libtorch() {
  local dir reason before
  before=$(cat "$root/build/libtorch-dir" 2>/dev/null || echo wheel)
  if [[ $1 == wheel ]]; then
    dir=wheel
    rm -f "$root/build/libtorch-dir"
  else
    dir=$(cd "$1" 2>/dev/null && pwd) || usage "--libtorch: no folder '$1'; expected one with include/ and lib/"
    command -v cmake >/dev/null || die "--libtorch: run ./pawl setup first, it installs cmake"
    reason=$(cmake "-DLIBTORCH_DIR=$dir" -P "$root/cmake/check_libtorch.cmake" 2>&1) ||
      usage "--libtorch: $(sed -n 's/^  //p' <<<"$reason" | xargs)"
    echo "$dir" >"$root/build/libtorch-dir"
  fi
  # makes CMake configure again, and ./pawl build again
  [[ $dir == "$before" ]] || touch "$root/cmake/dependencies.cmake"
}

cuda=0
while (($#)); do
  case $1 in
    --cuda) cuda=1 ;;
    --libtorch)
      (($# > 1)) || usage "--libtorch needs a folder, or 'wheel' to go back to the pinned one"
      use_libtorch "$2"
      shift ;;
    *) usage "setup: unknown argument '$1'; expected --cuda or --libtorch DIR" ;;
  esac
  shift
done
install_packages
mkdir -p "$cache/deps"
exec 9>"$cache/deps/.lock"  # one set-up at a time; the others find its work done
flock 9
install_wheels
((cuda)) && install_cuda_wheels
exit 0
