# shellcheck shell=bash
# What scripts/test and scripts/matrix share: builds, counts of tests, and the table of parts. A
# part is a function part_NAME (with _ for -) that returns 0, or not if the build or the run failed.
#
# Before sourcing, a script sets $me, its name, and $all_parts, the names of its parts in order.
#
# A script may set $at_once, how many parts run at a time; their outputs follow each other all the
# same. $results is an array for what a script
# wants to keep of its parts.
#
# Environment: PLUCK_BUILD_ROOT, where the build directories go (build/ of the repository);
# PLUCK_JOBS, how many at a time (the number of processors); PLUCK_NO_INSTALL=1, install nothing.

build_root=${PLUCK_BUILD_ROOT:-$PWD/build}
jobs=${PLUCK_JOBS:-$(nproc 2> /dev/null || echo 2)}

parts= at_once=1
results=()
# Of the table a line per part: name, passed, failed, skipped, seconds, seconds of processors, what
# the part has put into $cells, remark.
table=()
details=()
total_passed=0 total_failed=0 total_skipped=0
passed=0 failed=0 skipped=0
cells='' cells_heading=''

heading() {
    printf '\n==== %s ====\n' "$*"
}

# configure NAME MESON_OPTION...: sets $build, a build directory made with exactly these options.
configure() {
    build=$build_root/test-$1
    shift
    local options="$CC_FOR_PART $*" cxx=()
    case $CC_FOR_PART$options in
        *--cross-file*) ;; # the cross file names the compilers
        clang*) cxx=(CXX=clang++) ;;
        *) cxx=(CXX=g++) ;;
    esac
    if [ "$(cat "$build/configured-with" 2> /dev/null)" != "$options" ]; then
        rm -rf "$build"
        mkdir -p "$build"
        env CC="$CC_FOR_PART" "${cxx[@]}" meson setup "$build" -Dwerror=true "$@" || return 1
        echo "$options" > "$build/configured-with"
    fi
}

compile() {
    meson compile -C "$build" -j "$jobs"
}

# compile_tests SUITE...: only what is no test, and the programs of these tests.
compile_tests() {
    local targets
    targets=$(python3 - "$build" "$@" << 'END'
import json, os, subprocess, sys

build, suites = os.path.realpath(sys.argv[1]), set(sys.argv[2:])

def introspect(what):
    return json.loads(subprocess.check_output(["meson", "introspect", "--" + what, build]))

needed = {name for test in introspect("tests") for name in test["depends"]
          if suites & {suite.split(":")[-1] for suite in test["suite"]}}
paths = {path for target in introspect("targets") if target["id"] in needed
         or target["build_by_default"]
         and not os.path.relpath(target["defined_in"]).startswith("tests")
         for path in target["filename"]}
print(*{os.path.relpath(path, build) for path in paths})
END
    ) || return 1
    # shellcheck disable=SC2086
    ninja -C "$build" -j "$jobs" $targets
}

# Adds the results of one "meson test" run, given its log, to the counts of the part.
count() {
    local counts
    counts=$(python3 - "$1" << 'END'
import json, sys

passed, failed, skipped = 0, [], []
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    name, result = test["name"], test["result"]
    output = ((test.get("stderr") or "") + "\n" + (test.get("stdout") or "")).split("\n")
    remark = next((text.strip() for text in reversed(output) if text.strip()), "no reason given")
    if result in ("OK", "EXPECTEDFAIL"):
        passed += 1
    elif result == "SKIP":
        skipped.append(f"skipped {name}: {remark}")
    else:
        failed.append(f"FAILED {name}: {result}")
print(passed, len(failed), len(skipped), *failed, *skipped, sep="\n")
END
    ) || return 1
    local lines line
    mapfile -t lines <<< "$counts"
    passed=$((passed + lines[0])) failed=$((failed + lines[1])) skipped=$((skipped + lines[2]))
    for line in "${lines[@]:3}"; do
        details+=("$part: $line")
    done
}

# run_tests LOG_NAME MESON_TEST_OPTION...
run_tests() {
    local log=$build/meson-logs/$1.json
    shift
    rm -f "$log"
    meson test -C "$build" --num-processes "$jobs" --print-errorlogs "$@"
    local status=$?
    if [ ! -f "$log" ]; then
        # Meson writes no log when no test matched, which is no failure of its own.
        [ $status -eq 0 ] && skip "no test of these kinds" || return 1
        return 0
    fi
    count "$log" || return 1
    [ $status -eq 0 ] || [ "$failed" -gt 0 ]
}

# Ends the part as skipped, with the reason.
skip() {
    skipped=$((skipped + 1))
    remark="skipped: $1"
}

# True if the groups of packages are there; else the part is skipped, with their names as reason.
need() {
    local names
    if scripts/install-packages --check "$@"; then
        return 0
    fi
    names=$(PLUCK_NO_INSTALL=1 scripts/install-packages "$@" 2>&1 | sed -n 's/.*still missing: //p')
    skip "these packages could not be installed: $names"
    return 1
}

# Sets $cjson to a folder with cJSON's source, or skips the part.
need_cjson() {
    cjson=$build_root/cjson
    mkdir -p "$build_root"
    flock "$build_root/cjson.lock" scripts/get-cjson "$cjson" && return 0
    skip "cJSON's source cannot be fetched (see above)"
    return 1
}

# Sets $worked: the seconds that processors worked for this script and the programs it waited for.
measure_work() {
    local stat
    read -r -a stat < "/proc/$BASHPID/stat"
    worked=$(((stat[13] + stat[14] + stat[15] + stat[16]) / $(getconf CLK_TCK)))
}

run_part() {
    part=$1
    passed=0 failed=0 skipped=0 remark='' cells=''
    heading "$part"
    local start=$SECONDS worked worked_before
    measure_work
    worked_before=$worked
    if ! "part_${part//-/_}"; then
        failed=$((failed + 1))
        remark="the build or the run itself failed, see above"
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    total_skipped=$((total_skipped + skipped))
    measure_work
    table+=("$(printf '%-18s %7d %7d %8d %6d s %6d s %s %s' "$part" $passed $failed $skipped \
        $((SECONDS - start)) $((worked - worked_before)) "$cells" "$remark")")
}

# Runs a part in a process of its own, which leaves its output and, as commands, what it counted.
start_part() {
    (
        table=() details=() results=()
        total_passed=0 total_failed=0 total_skipped=0
        run_part "$1"
        exec >&3
        echo "table+=(${table[*]@Q}) details+=(${details[*]@Q}) results+=(${results[*]@Q})"
        echo "total_passed=\$((total_passed + $total_passed))"
        echo "total_failed=\$((total_failed + $total_failed))"
        echo "total_skipped=\$((total_skipped + $total_skipped))"
    ) > "$runs/$1.output" 2>&1 3> "$runs/$1.counts"
    : > "$runs/$1.ended"
}

# Prints and counts what has ended, up to the first part that has not.
collect_parts() {
    while [ ${#started[@]} -gt 0 ] && [ -f "$runs/${started[0]}.ended" ]; do
        cat "$runs/${started[0]}.output"
        if [ -s "$runs/${started[0]}.counts" ]; then
            # shellcheck disable=SC1090
            . "$runs/${started[0]}.counts"
        else
            total_failed=$((total_failed + 1))
            details+=("${started[0]}: FAILED: its process was ended")
        fi
        started=("${started[@]:1}")
    done
}

# Runs $parts, $at_once at a time.
run_parts_at_once() {
    local part_name runs started=()
    runs=$(mktemp -d) || return 1
    for part_name in $parts; do
        while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do
            wait -n
            collect_parts
        done
        start_part "$part_name" &
        started+=("$part_name")
    done
    wait
    collect_parts
    rm -rf "$runs"
}

# The text at the top of a script.
print_help() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
}

# choose_part NAME: adds it to $parts; ends the script if there is no such part.
choose_part() {
    case " $all_parts " in
        *" $1 "*) parts="$parts $1" ;;
        *)
            echo "$me: no part '$1'; the parts are: $all_parts" >&2
            exit 2
            ;;
    esac
}

# install_for GROUP...: installs what the chosen parts take: these groups and, where a part is named
# like a group, that one. Ends the script unless pluck can be built here.
install_for() {
    local part_name groups="$*"
    for part_name in $parts; do
        scripts/install-packages --has "$part_name" && groups="$groups $part_name"
    done
    heading packages
    # shellcheck disable=SC2086
    scripts/install-packages $groups && echo "Nothing is missing."
    if ! scripts/install-packages --check build; then
        echo "$me: cannot go on without the packages of the group build:" >&2
        PLUCK_NO_INSTALL=1 scripts/install-packages build
        exit 1
    fi
}

# Runs $parts and prints the table; the status is 0 if nothing failed.
run_parts() {
    local part_name
    if [ "$at_once" -gt 1 ]; then
        run_parts_at_once || return 1
    else
        for part_name in $parts; do
            run_part "$part_name"
        done
    fi
    heading summary
    [ ${#details[@]} -eq 0 ] || printf '%s\n' "${details[@]}" ''
    printf '%-18s %7s %7s %8s %8s %8s %s remark\n' part passed failed skipped time worked \
        "$cells_heading"
    printf '%s\n' "${table[@]}"
    printf '\n%d passed, %d failed, %d skipped\n' $total_passed $total_failed $total_skipped
    [ $total_failed -eq 0 ]
}
