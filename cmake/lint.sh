#!/usr/bin/env bash
# lint.sh format: clang-format on every C++ file. lint.sh tidy: clang-tidy on layers 0 and 1 and on what changed since
# the branch left main (on main: the last commit); every file is the `tidy` preset's work. Needs build/release.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/steps.sh"
cd "$root"

format() {
  local folders=() folder
  for folder in src kernels tests bench examples; do [[ -d $folder ]] && folders+=("$folder"); done
  find "${folders[@]}" \( -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
    xargs -0 -P2 -n16 clang-format --dry-run -Werror
}

# Sources to check: the low layers, which are cheap to parse, and the changed files.
tidy_files() {
  find kernels src/core src/envs src/net src/text src/track -name '*.cc' 2>/dev/null || true
  local head base
  head=$(git rev-parse -q --verify HEAD) || return 0
  base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || true)
  [[ -z $base || $base == "$head" ]] && base=$(git rev-parse -q --verify HEAD~1 || echo "$head")
  # a header is checked through the source of its name
  { git diff --name-only --diff-filter=d "$base" && git ls-files -o --exclude-standard; } | sed 's/\.h$/.cc/'
}

# "source<TAB>its files inside the repository", from what GCC noted while building
dependencies() {
  ninja -C build/release -t deps | awk -v root="$root/" '
    /^[^ ]/ { if (source) print source "\t" files; source = ""; files = "" }
    { sub(/^ +\.\.\/\.\.\//, " " root) }  # ccache makes paths relative to the build folder
    /^ / && index($1, root) == 1 && $1 !~ /\/build\// {
      name = substr($1, length(root) + 1)
      if (!source) source = name
      files = files " " name
    }
    END { if (source) print source "\t" files }'
}

# A file that passed is not checked again until it or a header of it changes.
tidy_one() {
  local source=$1 files=$2 key
  # shellcheck disable=SC2086  # a list of files
  key=$(cat .clang-tidy $files | sha256sum)
  [[ -e build/tidy/passed/${key:0:32} ]] && return
  # clang's own count of suppressed warnings is noise
  if clang-tidy --quiet -p build/tidy "$source" 2> >(grep -v 'warnings\? generated\.$' >&2); then
    touch "build/tidy/passed/${key:0:32}"
  else
    return 1
  fi
}

tidy() {
  mkdir -p build/tidy/passed
  # clang cannot read GCC's precompiled header
  sed -E 's/ -Winvalid-pch//g; s/ -fpch-preprocess//g; s/ -include [^ ]*cmake_pch\.hxx//g' \
    build/release/compile_commands.json >build/tidy/compile_commands.json
  export -f tidy_one
  join -t $'\t' <(tidy_files | sort -u) <(dependencies | sort -u -t $'\t' -k1,1) >build/tidy/files
  [[ -s build/tidy/files ]] || die "lint.sh: no source found in what ninja recorded"
  tr '\t\n' '\0\0' <build/tidy/files | xargs -0 -P2 -n2 bash -c 'tidy_one "$@"' _
}

case ${1-} in
  format | tidy) "$1" ;;
  *) die "lint.sh: expected 'format' or 'tidy'" ;;
esac
