#!/bin/sh
# Why: hosts call the library on threads with little stack. Runs test programs with a main stack of
# this many KiB, which must be enough for what they call.
#
#   run_with_stack.sh KIB PROGRAM...
ulimit -s "$1" || exit 77
shift
n_failed=0
for program in "$@"; do
    if ! output=$("$program" 2>&1); then
        printf '%s fails:\n%s\n' "$program" "$output"
        n_failed=$((n_failed + 1))
    fi
done
echo "$# programs, $n_failed failed"
[ $n_failed -eq 0 ]
