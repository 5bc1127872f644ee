# Sourced by `run` and `nightly`: the models behind `cfg(loom)`.

# loom_models PREEMPTIONS: every interleaving of the models with at most so many preemptions.
loom_models() {
    # Optimised, but with every debug assertion: lock ranks are among them.
    LOOM_MAX_PREEMPTIONS="$1" RUSTFLAGS="--cfg loom" \
        CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
        cargo test --locked --release --lib --target-dir "$TARGET/loom" models:: |
        tee "$STEPS_NOTES/loom"
    if ! grep -q -E '^test result: ok\. [1-9]' "$STEPS_NOTES/loom"; then
        echo "Not one loom model ran."
        return 1
    fi
}
