#!/bin/sh
# The limits of style that no formatter knows: size of files and of functions, width of lines,
# nothing left open, nothing at the top level that the design does not name.
set -u

cd "$(dirname "$0")/../.." || exit 1

findings=$(
    find core bindings lua spec examples -name '*.[ch]' -o -name '*.lua' -o -name '*.sh' |
        sort | xargs awk '
            FNR == 1 { start = 0 }
            FNR == (FILENAME ~ /\.h$/ ? 701 : 601) { print FILENAME ": too many lines" }
            length($0) > 100 { print FILENAME ":" FNR ": more than 100 columns" }
            # clang-format sees to it that only a function has its braces in the first column.
            FILENAME ~ /\.[ch]$/ && /^{/ { start = FNR }
            FILENAME ~ /\.[ch]$/ && /^}/ && start {
                if (FNR - start + 1 > 70)
                    print FILENAME ":" start ": a function of " FNR - start + 1 " lines, 70 at most"
                start = 0
            }'

    # The brackets keep these words from finding themselves.
    grep -rnoE '\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b' \
        core bindings lua spec examples Makefile README.md |
        sed 's/$/: something left open/'

    for entry in *; do
        case $entry in
        core | bindings | lua | spec | examples | build | Makefile) ;;
        README.md | CHANGELOG.md | LICENSE) ;;
        *.rockspec) ;;
        *) echo "$entry: the design knows no such entry at the top level" ;;
        esac
    done
    [ "$(ls | grep -c 'rockspec$')" = 1 ] || echo "there must be one rockspec"
)

[ -z "$findings" ] && echo "within the limits" && exit 0
echo "$findings"
exit 1
