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
    if [[ ! -x "$root/bin/cargo-$name" ]] && command -v "cargo-$name" > /dev/null; then
        return 0
    fi
    program "$root" "cargo-$name" "$version"
}

# program FOLDER NAME VERSION: makes a program of crates.io available in this shell, in just this
# version, installing it into the folder if it is not there.
program() {
    local root="$1" name="$2" version="$3"
    if [[ ! -x "$root/bin/$name" ]]; then
        # The project's own flags and target folder must not leak into the build of a tool.
        env -u CARGO_TARGET_DIR -u RUSTFLAGS -u RUSTDOCFLAGS \
            cargo install --locked --quiet --root "$root" "$name@$version"
    fi
    PATH="$root/bin:$PATH"
}

# Whether valgrind is there, after installing it where a package manager is known and allows that.
valgrind_is_there() {
    if ! command -v valgrind > /dev/null && [[ "$(id -u)" -eq 0 ]] &&
        command -v apt-get > /dev/null; then
        within 300 apt-get -qq update > /dev/null &&
            DEBIAN_FRONTEND=noninteractive within 300 \
                apt-get -qq install --no-install-recommends valgrind > /dev/null
    fi
    command -v valgrind > /dev/null
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
