# Sourced by `run` and `nightly`: the models behind `cfg(loom)`.

# loom_models PREEMPTIONS: every interleaving of the models with at most so many preemptions.
loom_models() {
    if ! grep -q -r 'cfg(.*loom' src; then
        skip_step "loom models" "there are none in src"
        return 0
    fi
    LOOM_MAX_PREEMPTIONS="$1" RUSTFLAGS="--cfg loom" \
        cargo test --locked --release --lib --target-dir "$TARGET/loom" loom |
        tee "$STEPS_NOTES/loom"
    if ! grep -q -E '^test result: ok\. [1-9]' "$STEPS_NOTES/loom"; then
        echo "Not one loom model ran."
        return 1
    fi
}
