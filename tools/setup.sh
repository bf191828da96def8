#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a Debian bookworm or trixie machine ready: host packages with apt (the only step that needs root), and the
# test bed (QEMU, kernels, their headers and compiler), unpacked below the cache directory without any privilege.
# Can be run again at any time: finished work is not repeated, interrupted work is taken up, and once a week the
# archive is asked whether the test bed's packages moved. Without network the test bed in the cache is used as it is.
#
# The test bed's directory:
#     root -> roots/ID    the unpacked packages; ID names the exact set of versions
#     qemu                starts QEMU with its own C library; `kernels` in the root lists series, release, image
#     apt/                apt's state, separate from the machine's
#     lock                held shared by whoever uses a root, so that none is deleted under a running VM
#     debug/              the debug kernel, see tools/kernel-debug
set -eu

usage() {
	cat <<-EOF
	Usage: tools/setup.sh [--host] [--testbed] [--refresh]
	  --host      install the packages of tools/packages.txt (asks you to run apt when not root)
	  --testbed   fetch QEMU and the kernels into the cache (never needs root)
	  --refresh   ask the archive now, even when it was asked during the last week
	Without --host or --testbed: both. Cache: \$SNPU_CACHE, or snpu below \$XDG_CACHE_HOME or ~/.cache.
	EOF
}

say() { printf '  %-7s %s\n' "$1" "$2"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
packages() { sed 's/#.*//' "$1" | xargs; }

HERE=$(cd "$(dirname "$0")" && pwd)
CACHE=${SNPU_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or SNPU_CACHE}/.cache}/snpu}
BED=$CACHE/testbed
APT=$BED/apt
DEBS=$APT/cache/archives
SERIES='6.12 7.3'

# --- host packages --------------------------------------------------------------------------------------------

host_setup() {
	missing=
	for p in $(packages "$HERE/packages.txt"); do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
	done
	if [ -z "$missing" ]; then
		say host "all packages of tools/packages.txt are installed"
		return
	fi
	if [ "$(id -u)" -ne 0 ]; then
		die "host packages are missing, and installing them needs root. Run, then start this again:
  sudo apt-get install --no-install-recommends$missing"
	fi
	say host "installing$missing"
	apt-get -qq update
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing >/dev/null
}

# --- test bed: a private apt ----------------------------------------------------------------------------------

# The machine's own mirrors, so that proxies and local mirrors keep working: apt knows them as "target" lines.
mirror() { # mirror SUITE: nothing when the machine has none for it
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
		awk -v suite="$1" '$1 == suite && $2 !~ /^cdrom/ { print $2; exit }'
}

# Read last (apt -c), after the machine's apt.conf.d: proxies and credentials stay, hooks and pins do not.
apt_configure() {
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	key=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r $key ] || die "no $key: the test bed's packages cannot be verified. Install debian-archive-keyring"
	mkdir -p "$APT/state" "$DEBS/partial"
	: >"$APT/status"
	main=$(mirror "$codename")
	security=$(mirror "$codename-security")
	[ -n "$main" ] || die "apt knows no archive of this machine's release '$codename': add one to /etc/apt/sources.list, then run this again"
	for suite in trixie trixie-updates trixie-backports; do
		echo "deb [signed-by=$key] $main $suite main"
	done >"$APT/sources.list"
	[ -z "$security" ] || echo "deb [signed-by=$key] $security trixie-security main" >>"$APT/sources.list"
	cat >"$APT/preferences" <<-EOF
	Package: qemu* src:qemu seabios ipxe* linux-*
	Pin: release n=trixie-backports
	Pin-Priority: 600
	EOF
	cat >"$APT/apt.conf" <<-EOF
	#clear APT::Default-Release;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear DPkg::Post-Invoke;
	APT::Architecture "amd64";
	#clear APT::Architectures;
	APT::Architectures { "amd64"; };
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "3";
	Dir::State "$APT/state";
	Dir::State::status "$APT/status";
	Dir::Cache "$APT/cache";
	Dir::Etc::sourcelist "$APT/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	Dir::Etc::preferences "$APT/preferences";
	Dir::Etc::preferencesparts "/dev/null";
	EOF
}

# The newest release of a kernel series whose image and headers are both there, such as 6.12.117+deb13-amd64.
kernel_newest() { # kernel_newest SERIES-PATTERN
	apt-cache -c "$APT/apt.conf" pkgnames linux-headers- | sed -n 's/^linux-headers-//p' |
		grep -E "^($1)\.[0-9.]+(\+deb[0-9.]+)?-amd64\$" | sort -rV | while read -r k; do
			apt-cache -c "$APT/apt.conf" show "linux-image-$k" "linux-headers-$k" >/dev/null 2>&1 || continue
			echo "$k"
			break
		done
}

# Prints "SERIES RELEASE" for each series. Backports moves on: when 7.3 has left the archive, the newest 7.x
# stands in for it (tools/vm says so when it boots it).
kernels_choose() {
	for s in $SERIES; do
		k=$(kernel_newest "$s")
		[ -n "$k" ] || k=$(kernel_newest "${s%%.*}.[0-9]+")
		[ -n "$k" ] || die "no kernel $s in the archive's package lists ($APT/sources.list)"
		echo "$s $k"
	done
}

# --- test bed: the root ---------------------------------------------------------------------------------------

# apt's plan as "NAME VERSION ARCH" lines, the same order each time.
plan() { # plan PACKAGE...
	apt-get -c "$APT/apt.conf" -s install "$@" |
		sed -nE 's/^Inst ([^ ]+) \(([^ ]+) .*\[([a-z0-9]+)\]\).*/\1 \2 \3/p' | sort
}

# One package; unpacked by tar because dpkg-deb would replace the /lib -> usr/lib links of the merged root.
unpack_one() { # unpack_one ROOT DEB
	dpkg-deb --fsys-tarfile "$2" | tar -x -C "$1" --keep-directory-symlink --no-same-owner --no-same-permissions \
		--delay-directory-restore --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
		--exclude='./usr/share/locale/*' --exclude='./usr/share/info/*' -f -
}

root_unpack() { # root_unpack ROOT PLAN
	mkdir -p "$1/usr"
	for d in bin sbin lib lib64; do
		mkdir -p "$1/usr/$d"
		ln -s "usr/$d" "$1/$d"
	done
	while read -r name version arch; do
		v=$(printf %s "$version" | sed 's/:/%3a/g')
		deb=${name}_${v}_$arch.deb
		[ -f "$DEBS/$deb" ] || die "apt did not fetch $DEBS/$deb. Remove $APT and run this again"
		printf '%s\n' "$deb"
	done <"$2" >"$1/debs"
	xargs -d '\n' -P "$(nproc)" -I DEB "$0" --unpack-one "$1" "$DEBS/DEB" <"$1/debs"
	ln -sf mawk "$1/usr/bin/awk"
	[ -e "$1/usr/bin/sh" ] || ln -s dash "$1/usr/bin/sh"
	mkdir -p "$1/proc" "$1/dev" "$1/tmp" "$1/build" "$1/src"
}

# Runs a program of the root with the root's own C library, without chroot.
in_root() { # in_root ROOT PROGRAM ARG0 ARGS...
	r=$1 prog=$2 arg0=$3
	shift 3
	"$r/usr/lib64/ld-linux-x86-64.so.2" --library-path "$r/usr/lib/x86_64-linux-gnu" --argv0 "$arg0" "$r$prog" "$@"
}

# Takes the ELF kernel out of a bzImage (boot protocol 2.08: payload_offset and payload_length at 0x248, counted
# from the end of the setup sectors). QEMU boots it through its PVH entry, which saves an emulated processor the
# 3 to 4 seconds of decompressing.
vmlinux_extract() { # vmlinux_extract ROOT BZIMAGE OUT
	setup=$(($(od -An -tu1 -j497 -N1 "$2") + 1))
	# shellcheck disable=SC2046 # two numbers
	set -- "$1" "$2" "$3" $(od -An -tu4 -j584 -N8 "$2")
	tail -c "+$((setup * 512 + $4 + 1))" "$2" | head -c "$(($5 - 4))" | in_root "$1" /usr/bin/zstd zstd -dqc >"$3"
	[ "$(head -c 4 "$3" | tail -c 3)" = ELF ] || die "$2 does not hold a zstd-compressed ELF kernel"
}

# What the packages' own scripts would have done, as far as it is needed: depmod, and a list of the kernels.
root_finish() { # root_finish ROOT KERNELS
	while read -r s k; do
		in_root "$1" /usr/bin/kmod depmod -b "$1" "$k"
		# 6.12 puts the image below /boot, 7.x with the modules.
		image=$1/boot/vmlinuz-$k
		[ -f "$image" ] || image=$1/usr/lib/modules/$k/vmlinuz
		[ -f "$image" ] || die "package linux-image-$k holds no vmlinuz where one is expected"
		vmlinux_extract "$1" "$image" "$1/boot/vmlinux-$k" </dev/null
		echo "$s $k boot/vmlinux-$k"
	done <"$2" >"$1/kernels"
}

qemu_wrapper() {
	cat >"$BED/qemu.new" <<-'EOF'
	#!/bin/sh
	# Made by tools/setup.sh: the test bed's QEMU, run with the C library it was built for.
	R=$(readlink -f "$(dirname "$0")/root")
	L=$R/usr/lib/x86_64-linux-gnu
	QEMU_MODULE_DIR=$L/qemu exec "$R/usr/lib64/ld-linux-x86-64.so.2" --library-path "$L" --argv0 qemu-system-x86_64 \
		"$R/usr/bin/qemu-system-x86_64" -L "$R/usr/share/qemu" -L "$R/usr/share/seabios" -L "$R/usr/lib/ipxe/qemu" "$@"
	EOF
	chmod 755 "$BED/qemu.new"
	mv "$BED/qemu.new" "$BED/qemu"
}

root_build() { # root_build ID: from the plan in $BED/plan to a complete root, in one rename
	root=$BED/roots/$1
	if [ ! -d "$root" ]; then
		say fetch "$(wc -l <"$BED/plan") packages (about 360 MB the first time)"
		# shellcheck disable=SC2046 # a list of words
		apt-get -c "$APT/apt.conf" -y -qq --download-only install $(cat "$BED/wanted") >"$BED/apt.log" 2>&1 || {
			tail -n 5 "$BED/apt.log" >&2
			die "apt could not fetch the test bed's packages (see $BED/apt.log). Check the network and run this again"
		}
		say unpack "$root (about 900 MB)"
		rm -rf "$BED"/roots/*.tmp
		mkdir -p "$root.tmp"
		root_unpack "$root.tmp" "$BED/plan"
		root_finish "$root.tmp" "$BED/kernels"
		mv "$root.tmp" "$root"
	fi
	ln -sfn "roots/$1" "$BED/root.new"
	mv -T "$BED/root.new" "$BED/root"
	qemu_wrapper
}

# Old roots and packages go when nobody is using a root.
roots_prune() {
	flock -n -x 8 || return 0
	for r in "$BED"/roots/*; do
		[ "$r" = "$(readlink -f "$BED/root")" ] || rm -rf "$r"
	done
	for f in "$DEBS"/*.deb; do
		grep -qxF "${f##*/}" "$BED/root/debs" || rm -f "$f"
	done
	flock -u 8
}

# A root of its own beside the test bed's, for tools/kernel-debug.
root_extra() { # root_extra DIR LIST PACKAGE...: DIR is complete or not there
	exec 9>"$BED/setup.lock"
	flock 9
	[ -f "$APT/apt.conf" ] || die "no test bed in $BED. Run tools/setup.sh --testbed"
	dir=$1 list=$2
	shift 2
	rm -rf "$dir.tmp"
	mkdir -p "$dir.tmp"
	# shellcheck disable=SC2046 # a list of words
	set -- "$@" $(packages "$list")
	plan "$@" >"$dir.tmp/plan"
	[ -s "$dir.tmp/plan" ] || die "apt found no way to install: $*"
	say fetch "$(wc -l <"$dir.tmp/plan") packages"
	apt-get -c "$APT/apt.conf" -y -qq --download-only install "$@" >"$BED/apt.log" 2>&1 || {
		tail -n 5 "$BED/apt.log" >&2
		die "apt could not fetch them (see $BED/apt.log). Check the network and run this again"
	}
	say unpack "$dir"
	root_unpack "$dir.tmp" "$dir.tmp/plan"
	mv "$dir.tmp" "$dir"
}

testbed_refresh() {
	apt_configure
	say archive "asking for the newest QEMU and kernels"
	if ! apt-get -c "$APT/apt.conf" -qq -o APT::Update::Error-Mode=any update >"$BED/apt.log" 2>&1; then
		if [ -d "$BED/root/" ]; then
			say archive "not reachable; the test bed in the cache stays as it is"
			return
		fi
		tail -n 5 "$BED/apt.log" >&2
		die "the archive cannot be reached and there is no test bed in $BED yet. Check the network and run this again"
	fi
	kernels_choose >"$BED/kernels"
	{
		packages "$HERE/testbed/packages.txt"
		sed 's/.* \(.*\)/linux-image-\1 linux-headers-\1/' "$BED/kernels"
	} | xargs >"$BED/wanted"
	# shellcheck disable=SC2046 # a list of words
	plan $(cat "$BED/wanted") >"$BED/plan"
	[ -s "$BED/plan" ] || die "apt found no way to install: $(cat "$BED/wanted")"
	id=$(cat "$BED/plan" "$BED/wanted" "$0" | sha256sum | cut -c 1-12)
	root_build "$id"
	roots_prune
	printf '%s\n' "$stamp" >"$BED/stamp"
}

testbed_setup() {
	mkdir -p "$BED/roots"
	exec 9>"$BED/setup.lock" 8>"$BED/lock"
	flock -n 9 || { say testbed "another set-up is running; waiting for it"; flock 9; }
	stamp=$(cat "$0" "$HERE/testbed/packages.txt" | sha256sum | cut -c 1-12)
	fresh=$(find "$BED/stamp" -mtime -7 2>/dev/null || true)
	if [ "$refresh" = yes ] || [ -z "$fresh" ] || [ "$(cat "$BED/stamp")" != "$stamp" ] || [ ! -x "$BED/qemu" ] ||
		[ ! -d "$BED/root/" ]; then
		testbed_refresh
	fi
	say testbed "$(cut -d ' ' -f 2 "$BED/root/kernels" | xargs | sed 's/ /, /g') in $BED"
}

# --- command line ---------------------------------------------------------------------------------------------

host=no testbed=no refresh=no
while [ $# -gt 0 ]; do
	case $1 in
	--host) host=yes ;;
	--testbed) testbed=yes ;;
	--refresh) refresh=yes testbed=yes ;;
	--unpack-one) unpack_one "$2" "$3"; exit ;; # called by root_unpack, in parallel
	--root) shift; root_extra "$@"; exit ;; # called by tools/kernel-debug
	-h | --help) usage; exit ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
[ $host = yes ] || [ $testbed = yes ] || { host=yes; testbed=yes; }
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || die "only Debian on amd64 is supported"
[ $host = no ] || host_setup
[ $testbed = no ] || testbed_setup
