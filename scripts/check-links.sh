#!/usr/bin/env bash
# Checks that what the Markdown files link to within the repository exists: files, and headings in them.
# Links to other places are not followed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC2016 # the backquotes are those of Markdown
# The anchors of a file's headings, as they are made from their words.
anchors() {
    sed -n '/^```/,/^```/!s/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# shellcheck disable=SC2016 # as above
# The targets of a file's links, code blocks left out.
targets() {
    sed '/^ *```/,/^ *```/d' "$1" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//' || true
}

broken=0
complain() {
    echo "$1: broken link to $2" >&2
    broken=1
}

while IFS= read -r file; do
    while IFS= read -r target; do
        case $target in
            '' | http://* | https://* | mailto:*) continue ;;
        esac
        path=${target%%#*}
        place=$file
        if [ -n "$path" ]; then
            place=$(dirname "$file")/$path
            [ -e "$place" ] || { complain "$file" "$target"; continue; }
        fi
        if [ "$target" != "$path" ] && [ "${place##*.}" = md ]; then
            anchors "$place" | grep -qxF -- "${target#*#}" || complain "$file" "$target"
        fi
    done < <(targets "$file")
done < <(find . -name '*.md' -not -path './target/*' -not -path './.git/*' | sort)
exit "$broken"
