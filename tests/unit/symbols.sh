#!/bin/sh
# SPDX-License-Identifier: MIT
# symbols.sh DIR HEADER...: what the libraries in DIR export under public versions, what the maps list there and what the
# headers declare are the same, and the headers compile as C++ and as strict C. Prints TAP.
set -u
dir=$1
shift
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
nm -D --defined-only --with-symbol-versions "$dir"/libsnpu*.so.1 | sed -nE 's/.* T (.*)@@SNPU_(NIR_)?0$/\1/p' | sort >"$t/lib"
cat userspace/libsnpu*.map | sed -nE '/^SNPU_(NIR_)?0 /,/^}/s/^\t(snpu_[a-z0-9_]*);$/\1/p' | sort >"$t/map"
cat "$@" | sed -n '/^SNPU_API/,/;/p' | tr '\n' ' ' | sed 's/SNPU_API/\n&/g' | sed -nE 's/^SNPU_API[^(]*[ *](snpu_[a-z0-9_]+)\(.*/\1/p' | sort -u >"$t/header"
n=0
check() { # check NAME FILE FILE
	n=$((n + 1))
	if diff "$2" "$3" >"$t/diff" && [ -s "$2" ]; then echo "ok $n $1"; else sed 's/^/# /' "$t/diff"; echo "not ok $n $1"; fi
}
compiles() { # compiles NAME COMMAND...
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$t/out" 2>&1; then echo "ok $n $name"; else sed 's/^/# /' "$t/out"; echo "not ok $n $name"; fi
}
echo "TAP version 13"
check "the libraries export what the maps list" "$t/map" "$t/lib"
check "the headers declare what the maps list" "$t/map" "$t/header"
printf '#include <%s>\n' $(printf '%s\n' "$@" | sed 's|.*/include/||') >"$t/x.c"
echo 'int main(void) { return snpu_version() == 0; }' >>"$t/x.c"
compiles "headers are strict C11" cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iuserspace/include -fsyntax-only "$t/x.c"
compiles "headers are C++" cc -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iuserspace/include -fsyntax-only "$t/x.c"
# A function that no test calls is a promise that nobody keeps.
while read -r f; do grep -rqw --include='*.c' --include='*.h' "$f" tests || echo "$f is called by no test"; done <"$t/map" >"$t/untested"
compiles "tests call every public function" sh -c 'cat "$1"; [ ! -s "$1" ]' sh "$t/untested"
echo "1..$n"
