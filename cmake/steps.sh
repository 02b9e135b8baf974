# Shared by the scripts beside it: quiet steps. One line per step on stderr, everything else in a log file.
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
log=$root/build/pawl.log
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pawl
mkdir -p "$root/build"

# help_from_head SCRIPT ARGUMENTS...: for --help prints the comment at the script's head and leaves.
help_from_head() {
  [[ ${2-} == --help || ${2-} == -h ]] || return 0
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"
  exit 0
}

die() {
  echo "pawl: $*" >&2
  exit 1
}

# step TEXT COMMAND...: runs the command with its output in the log; a failure shows the log's end and leaves.
step() {
  local text=$1 start=$SECONDS
  shift
  printf 'pawl: %s ... ' "$text" >&2
  printf '\n==== %s: %s\n' "$text" "$*" >>"$log"
  if "$@" >>"$log" 2>&1; then
    echo "$((SECONDS - start)) s" >&2
  else
    echo "failed" >&2
    tail -n 40 "$log" >&2
    # other jobs may have pushed a compiler's first complaint further up
    grep -E ':[0-9]+: (fatal )?error: |undefined reference' "$log" | head -n 5 >&2 || true
    die "'$text' failed; the whole log is $log"
  fi
}

# The folder of the unpacked wheels, the same that cmake/dependencies.cmake finds: named by the lock file's hash.
deps_dir() {
  local hash
  hash=$(sha256sum "$root/cmake/deps.lock")
  echo "$cache/deps/${hash:0:16}$([[ -e $root/build/libtorch-dir ]] && echo -notorch)"
}
