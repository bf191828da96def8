#!/bin/bash
# SPDX-License-Identifier: MIT
# What the documents say about the source must be there: the stops of docs/architecture.md (file and function), every
# "`function()` in `file`", and every file that a document names. Prints TAP.
set -u
shopt -s lastpipe	# report counts in this shell
cd "$(git rev-parse --show-toplevel)" || exit 1
docs() { git ls-files -- README.md 'docs/*.md'; }
defines() { grep -qE "^[a-z].*\\b$2\\(" "$1" 2>/dev/null; }	# defines FILE FUNCTION

. tests/tap.sh

page=docs/architecture.md
stops=$(grep -oP '^\| \d+ \| `\K[^`]+` \| `\w+(?=\(\)` \|)' $page | sed 's/` | `/ /')
{ [ "$(wc -l <<<"$stops")" -ge 12 ] || echo "$page: $(wc -l <<<"$stops") stops; its table is not read any more"; } | report "the life of a spike has its stops"
while read -r file function; do
	defines "$file" "$function" || echo "$page: $file does not define $function()"
done <<<"$stops" | report "each stop of the life of a spike exists"

docs | while read -r doc; do
	tr '\n' ' ' <"$doc" | grep -oP '`\w+\(\)` in `[^`]+`' | sed 's/`//g; s/() in / /' | while read -r function file; do
		defines "$file" "$function" || echo "$doc: $file does not define $function()"
	done
done | report "functions that documents name are where they say"

docs | while read -r doc; do
	grep -oP '`(?:docs|examples|firmware|hw|kmod|sim|tests|tools|uapi|userspace)/[\w./-]+`' "$doc" | tr -d '`' | sort -u | while read -r path; do
		[ -e "$path" ] || echo "$doc: there is no $path"
	done
done | report "files that documents name exist"

{ [ "$(wc -l <$page)" -lt 120 ] || echo "$page has $(wc -l <$page) lines"; } | report "architecture in under 120 lines"
done_testing
