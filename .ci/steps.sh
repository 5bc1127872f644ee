# Sourced by `run` and `nightly`: a run is a list of named steps. Every step prints a heading and
# its time, none stops the ones after it, and `finish` repeats what failed and what was skipped,
# so that the last lines tell the whole story.

STEPS_WANTED="$*"
STEPS_NOTES=$(mktemp -d)
trap 'rm -rf "$STEPS_NOTES"' EXIT
touch "$STEPS_NOTES"/{results,skipped,tests,fuzz}

# Tests that print seeds and paths are read here, not on a terminal.
export RUST_BACKTRACE="${RUST_BACKTRACE:-1}"
# Nothing may ask: neither git for a password nor cargo for a key.
export GIT_TERMINAL_PROMPT=0

# Where cargo builds; the variants that would throw each other's work away (loom, fuzz) get a
# folder of their own below it.
TARGET="${CARGO_TARGET_DIR:-$PWD/target}"

# What a run builds is for this run: nothing is kept for the next build of what has changed, and of
# the debugger's tables only what a backtrace needs. It takes a third of the space.
export CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=line-tables-only

# step NAME COMMAND [ARGUMENT...]: runs the command in a shell of its own that stops at the first
# error, and notes how it ended.
step() {
    local name="$1" started="$SECONDS" status verdict
    shift
    if [[ -n "$STEPS_WANTED" && " $STEPS_WANTED " != *" $name "* ]]; then
        return 0
    fi
    printf '\n==== %s\n' "$name"
    rm -f "$STEPS_NOTES/whole_step_skipped"
    # Not inside an `if`: there bash would ignore `set -e` in everything the step calls.
    set +e
    (
        set -euo pipefail
        "$@"
    ) < /dev/null 2>&1 | tee "$STEPS_NOTES/output"
    status="${PIPESTATUS[0]}"
    set -e
    count_results "$name"
    if [[ "$status" -ne 0 ]]; then
        verdict="FAILED"
    elif [[ -e "$STEPS_NOTES/whole_step_skipped" ]]; then
        verdict="SKIPPED"
    else
        verdict="ok"
    fi
    printf '%-7s %-10s %4d s\n' "$verdict" "$name" "$((SECONDS - started))" |
        tee -a "$STEPS_NOTES/results"
}

# skip WHAT REASON: one thing that this run did not check.
skip() {
    printf 'SKIPPED: %s (%s)\n' "$1" "$2" | tee -a "$STEPS_NOTES/skipped"
}

# skip_step WHAT REASON: the same, when it is all that the step would have done.
skip_step() {
    skip "$1" "$2"
    touch "$STEPS_NOTES/whole_step_skipped"
}

# count_results STEP: adds up what the test harness and the fuzzer said in the step's output.
count_results() {
    local step="$1" ignored
    sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored.*/\1 \2 \3/p' \
        "$STEPS_NOTES/output" > "$STEPS_NOTES/step_tests"
    cat "$STEPS_NOTES/step_tests" >> "$STEPS_NOTES/tests"
    ignored=$(awk '{ ignored += $3 } END { printf "%d", ignored }' "$STEPS_NOTES/step_tests")
    if [[ "$ignored" -ne 0 ]]; then
        skip "$ignored tests in the step $step" "marked as ignored"
    fi
    sed -n 's/^Done \([0-9]*\) runs in .*/\1/p' "$STEPS_NOTES/output" >> "$STEPS_NOTES/fuzz"
}

# finish WHAT: the summary; exits with 1 if any step failed.
finish() {
    local what="$1" failed executions wanted known
    for wanted in $STEPS_WANTED; do
        known=$(awk -v name="$wanted" '$2 == name' "$STEPS_NOTES/results")
        if [[ -z "$known" ]]; then
            printf '%-7s %-10s no such step\n' "FAILED" "$wanted" | tee -a "$STEPS_NOTES/results"
        fi
    done
    printf '\n==== Summary of the %s\n' "$what"
    cat "$STEPS_NOTES/results" "$STEPS_NOTES/skipped"
    awk '{ passed += $1; failed += $2; ignored += $3 }
        END { printf "tests: %d passed, %d failed, %d ignored\n", passed, failed, ignored }' \
        "$STEPS_NOTES/tests"
    executions=$(awk '{ runs += $1 } END { printf "%d", runs }' "$STEPS_NOTES/fuzz")
    printf 'fuzz: %s executions\n' "$executions"
    failed=$(grep -c '^FAILED' "$STEPS_NOTES/results" || true)
    printf 'steps: %d run, %d failed; %d skipped items; %d s\n' \
        "$(wc -l < "$STEPS_NOTES/results")" "$failed" "$(wc -l < "$STEPS_NOTES/skipped")" "$SECONDS"
    if [[ "$failed" -ne 0 ]]; then
        printf 'The %s FAILED.\n' "$what"
        exit 1
    fi
    if [[ -n "$STEPS_WANTED" ]]; then
        printf 'The chosen steps of the %s passed; the others were not run.\n' "$what"
    else
        printf 'The %s passed.\n' "$what"
    fi
}
