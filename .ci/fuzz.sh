# Sourced by `run` and `nightly`: building and running the targets in `fuzz/`.

FUZZ_DIR="$TARGET/fuzz"

# The real targets, one per line: each but the canary.
fuzz_targets() {
    local file name
    for file in fuzz/fuzz_targets/*.rs; do
        name=$(basename "$file" .rs)
        if [[ "$name" != "canary" ]]; then
            echo "$name"
        fi
    done
}

# Says by name what is not fuzzed, and why.
skip_fuzz() {
    local name
    for name in $(fuzz_targets) canary; do
        skip_step "fuzz target $name" "$1"
    done
}

# fuzz_with TARGET CORPUS... -- OPTION...: one run of the fuzzer. Without a sanitizer, because the
# crate forbids `unsafe`: what is hunted here are panics, hangs and growth without bound.
fuzz_with() {
    cargo "+$NIGHTLY" fuzz run --sanitizer none --target-dir "$FUZZ_DIR" "$@"
}

# The canary makes a false claim about the real code. A fuzzer that cannot refute it would find
# nothing else either: wrong flags, a bridge that is not instrumented, or seeds that are not read.
fuzz_canary() {
    local artifacts status=0
    artifacts=$(mktemp -d)
    within 300 cargo "+$NIGHTLY" fuzz run --sanitizer none --target-dir "$FUZZ_DIR" canary -- \
        -max_total_time=60 "-artifact_prefix=$artifacts/" > "$artifacts/output" 2>&1 || status="$?"
    if [[ "$status" -eq 0 ]] || ! grep -q "the canary sang" "$artifacts/output"; then
        cat "$artifacts/output"
        rm -rf "$artifacts"
        echo "The canary was not found out (exit code $status): the fuzzing harness is asleep."
        return 1
    fi
    rm -rf "$artifacts"
    echo "The canary was found out, as it must be: the harness is awake."
}

# fuzz_all SECONDS: the canary, then every target for that long, beginning with its seeds and with
# what earlier runs on this machine found interesting.
fuzz_all() {
    local seconds="$1" name failed=""
    NIGHTLY=$(nightly_toolchain)
    if [[ -z "$NIGHTLY" ]]; then
        skip_fuzz "no nightly toolchain is installed"
        return 0
    fi
    if ! command -v c++ > /dev/null && ! command -v clang++ > /dev/null; then
        skip_fuzz "no C++ compiler for libFuzzer"
        return 0
    fi
    tool fuzz "$FUZZ_VERSION"
    cargo "+$NIGHTLY" fuzz build --sanitizer none --target-dir "$FUZZ_DIR"
    fuzz_canary
    for name in $(fuzz_targets); do
        printf -- '-- %s for %d s\n' "$name" "$seconds"
        mkdir -p "fuzz/corpus/$name" "fuzz/seeds/$name"
        # The progress lines are left out; a finding, its input and the count stay.
        fuzz_with "$name" "fuzz/corpus/$name" "fuzz/seeds/$name" -- \
            "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 2>&1 |
            grep -v -E '^(#[0-9]+[[:space:]]|INFO: )' || failed="$failed $name"
    done
    if [[ -n "$failed" ]]; then
        echo "Findings in:$failed"
        return 1
    fi
}
