# Sourced by `run` and `record-instructions`: how many instructions a thousand messages take, by
# `benches/instructions.rs`. What differs from run to run is the seeds of hashes: less than half a
# percent, and 1.6 % of `headers_1000` once in some sixty runs, when a name of a header looks like
# another at the first glance. So the counts show what a clock on a shared machine cannot.

INSTRUCTIONS_RECORD="benches/instructions.txt"
# A new version of a dependency, or code that is laid out anew, costs less.
INSTRUCTIONS_TOLERANCE_PERCENT=3

# What the counts depend on besides the code.
instructions_tools() {
    local version host library
    version=$(rustc --version)
    host=$(rustc -vV | sed -n 's/^host: //p')
    library=$(getconf GNU_LIBC_VERSION 2> /dev/null || echo "another C library")
    printf '%s, %s, %s\n' "$version" "$host" "$library"
}

# count_instructions FILE [OPTION...]: writes the name of each workload and its count, built with
# these options of cargo. The runner has to be of the very version of the library, which the lock
# file names.
count_instructions() {
    local file="$1" version
    shift
    version=$(sed -n '/^name = "gungraun-runner"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
    program "$TOOLS/gungraun-runner-$version" gungraun-runner "$version"
    cargo bench --locked --bench instructions "$@" --no-run
    # What is left of a former run would be compared with, and is written in another form then.
    rm -rf "$TARGET/instructions"
    GUNGRAUN_HOME="$TARGET/instructions" within 300 \
        cargo bench --quiet --locked --bench instructions "$@" -- --output-format=json > "$file.json"
    sed -n 's/.*"id":"\([^"]*\)".*"total":{"metrics":{"Ir":{"values":{"new":\([0-9]*\)[,}].*/\1 \2/p' \
        "$file.json" > "$file"
    if [[ ! -s "$file" ]]; then
        echo "Nothing was counted, or it was written in a form that is not known here."
        return 1
    fi
}

# compare_instructions FILE: prints the counts beside the record, and fails if one is off.
compare_instructions() {
    awk -v tolerance="$INSTRUCTIONS_TOLERANCE_PERCENT" '
        /^#/ || $1 == "with" { next }
        FNR == NR { recorded[$1] = $2; next }
        {
            counted[$1] = 1
            if (!($1 in recorded)) {
                printf "%-14s is not in the record.\n", $1
                off = 1
                next
            }
            change = 100 * ($2 / recorded[$1] - 1)
            printf "%-14s %10d recorded %10d counted %+6.1f %%\n", $1, recorded[$1], $2, change
            more += change > tolerance
            fewer += change < -tolerance
        }
        END {
            for (name in recorded) {
                if (!(name in counted)) {
                    printf "%-14s is in the record, but was not counted.\n", name
                    off = 1
                }
            }
            if (more) printf "%d of them take over %d %% more than recorded.\n", more, tolerance
            if (fewer) {
                printf "%d of them take over %d %% fewer than recorded: ", fewer, tolerance
                print "keep that by recording it."
            }
            if (more || fewer || off) {
                print "If that is meant: .ci/record-instructions, and say why in the commit."
                exit 1
            }
        }' "$INSTRUCTIONS_RECORD" "$1"
}
