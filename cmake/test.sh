#!/usr/bin/env bash
# ./pawl test [ctest arguments]: sets up, builds everything and runs the tests; without arguments also the lint checks
# (one count each). The last line is "N passed, N failed, N skipped"; exit code 1 where something failed.
set -euo pipefail
source "${BASH_SOURCE[0]%/*}/steps.sh"
help_from_head "$0" "$@"
"$root/cmake/build.sh" all
build=$root/build/release
passed=0 failed=0 skipped=0

# check NAME COMMAND...: a lint check, counted as one test
check() {
  local name=$1 start=$SECONDS
  shift
  if "$@"; then
    echo "pawl: $name passed, $((SECONDS - start)) s"
    ((++passed))
  else
    echo "pawl: $name FAILED"
    ((++failed))
  fi
}

unset PAWL_TOLERANCE PAWL_GOLDENS  # for looking closer, by hand
junit=$build/tests.xml
rm -f "$junit"
# the log gets everything, the terminal what did not pass
ctest --test-dir "$build" -j2 --output-on-failure --output-junit "$junit" "$@" 2>&1 |
  tee "$build/tests.log" | grep -v -E '^ +Start +[0-9]+: |^ *[0-9]+/[0-9]+ Test .* Passed ' || true
if [[ -s $junit ]]; then
  count() { sed -n "/<testsuite/,/>/s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$junit"; }
  failed=$(count failures)
  skipped=$(($(count skipped) + $(count disabled)))
  passed=$(($(count tests) - failed - skipped))
else
  echo "pawl: ctest did not finish; its log is $build/tests.log"
  failed=1
fi
if (($# == 0)); then
  check "clang-format" "$root/cmake/lint.sh" format
  check "clang-tidy" "$root/cmake/lint.sh" tidy
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
