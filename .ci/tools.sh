# Sourced by `run` and `nightly`: tools that a plain Rust installation lacks.

# They outlive `cargo clean` and serve every checkout of the user.
TOOLS="${LEVERET_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/leveret-tools}"
DENY_VERSION="0.20.2"
FUZZ_VERSION="0.13.2"

# tool NAME VERSION: makes `cargo NAME` available in this shell, installing it from crates.io if
# it is neither in the cache nor installed by the user.
tool() {
    local name="$1" version="$2"
    local root="$TOOLS/$name-$version"
    if [[ ! -x "$root/bin/cargo-$name" ]]; then
        if command -v "cargo-$name" > /dev/null; then
            return 0
        fi
        # The project's own flags and target folder must not leak into the build of a tool.
        env -u CARGO_TARGET_DIR -u RUSTFLAGS -u RUSTDOCFLAGS \
            cargo install --locked --quiet --root "$root" "cargo-$name@$version"
    fi
    PATH="$root/bin:$PATH"
}

# The name of an installed nightly toolchain, or nothing.
nightly_toolchain() {
    rustup toolchain list 2> /dev/null | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | head -n 1
}

# within SECONDS COMMAND...: runs the command, and ends it when it hangs where that can be done.
within() {
    local seconds="$1" status=0
    shift
    if ! command -v timeout > /dev/null; then
        "$@"
        return
    fi
    timeout "$seconds" "$@" || status="$?"
    if [[ "$status" -eq 124 ]]; then
        echo "Ended, because it was not done within $seconds s: $*"
    fi
    return "$status"
}
