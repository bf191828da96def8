#!/bin/bash
# SPDX-License-Identifier: MIT
# Firmware files, in the VM, as root: signatures, versions, names, broken images, cards without firmware, new firmware into a
# running card. Each refusal is one line at error level that says why, and leaves the card as it was. What is run here
# stays refused or trusted until the machine is off, so this comes last in a VM, and within it what cannot be undone:
# security versions, then lockdown, then the end of the machine with a card without firmware.
# usage: firmware_test.sh BUILD RELEASE          RELEASE: the kernel series whose snpu.ko is loaded
set -u
. tests/tap.sh
build=$(readlink -f "$1") series=$2
client=$build/tests/kselftest/client
ko=$build/kmod/$series/snpu.ko
bdf=$(basename "$(readlink -f /sys/class/accel/accel0/device)")
dev=/sys/bus/pci/devices/$bdf
dbg=/sys/kernel/debug/accel/$bdf
param=/sys/module/snpu/parameters/fw_sig
lib=/lib/firmware/snpu
name=snpu-fw-1.bin
key=$build/keys/fw-dev
tmp=$(mktemp -d)
nofw='fw 0 queues 0 memory 1 write 1 vm -65 queue -65'	# ENOPKG

# --- tools ---
put() { rm -f $lib/* && cp "$1"/snpu/* $lib/; }		# put DIR: what is below it is installed, and nothing else
good() { put "$build/firmware"; }
sign() { # sign FILE [KEY]: with the key of this build, or another
	openssl smime -sign -binary -noattr -nocerts -md sha256 -in "$1" -signer "${2:-$key}.crt" -inkey "${2:-$key}.key" -outform DER -out "$1.p7s"
}
node_wait() {
	for _ in $(seq 100); do test -e /dev/accel/accel0 && return 0; sleep 0.1; done
	echo "no node after 10 s"
	return 1
}
unload() { for _ in $(seq 50); do rmmod snpu 2>/dev/null && return 0; sleep 0.1; done; rmmod snpu; }
load() { insmod "$ko" "$@" && node_wait && sleep 0.2; }	# the node's group and mode come a moment later
reload() { echo 1 2>/dev/null >$dev/fw_reload; }
reload_gives() { # reload_gives ERROR: as the shell spells it
	local said
	said=$({ echo 1 >$dev/fw_reload; } 2>&1)
	[[ $said == *": $1" ]] || { echo "fw_reload: ${said:-no error}, not $1"; return 1; }
}
announced() { dmesg | grep "snpu $bdf: \[drm\] firmware .* ABI .* device memory"; }
complaints() { dmesg -r | grep -E "^<[0-4]>.*snpu $bdf"; }	# warnings and worse, of this card
one_complaint() { # one_complaint WORDS: a single one since dmesg -C, which has them and says what to do
	complaints
	[ "$(complaints | wc -l)" = 1 ] && complaints | grep -q "$1.*; install the firmware" && ! announced
}
signature() { cat $dev/fw_signature; grep -q "$1" $dev/fw_signature; }	# signature REGEX
has_none() { signature '^none$' && [ "$(cat $dev/state)" = no_firmware ] && [ "$("$client" nofw)" = "$nofw" ] && ! "$client" short; }
objects() { awk '/^(vms|queues|bos|jobs|fences) / && $2 != 0 { print; bad = 1 } END { exit bad }' "$dbg/objects"; }
no_objects() { for _ in $(seq 50); do objects >/dev/null && return 0; sleep 0.1; done; objects; }
background() { # background FILE COMMAND...: until FILE says ready; its number is in $!
	local file=$1
	shift
	"$@" >"$file" 2>&1 &
	for _ in $(seq 100); do grep -q ready "$file" && return 0; sleep 0.1; done
	cat "$file"
	return 1
}

# --- the shipped firmware ---
shipped() {
	good && unload && dmesg -C && load && dmesg | grep snpu
	[ "$(announced | wc -l)" = 1 ] && announced | grep -q ', signed, ' && [ -z "$(complaints)" ] &&
		! dmesg | grep 'snpu.*failed to load' && signature '^ok:snpu firmware, development key, not for release: [0-9a-f]*$' && "$client" short
}
ok "signed firmware runs; one line says so, and no name is looked for in vain" shipped
again() { dmesg -C && reload && announced && [ "$(announced | wc -l)" = 1 ] && [ -z "$(complaints)" ] && "$client" short; }
ok "the card gets firmware while it is idle" again
what_is_written() { for w in 0 2 x ""; do ! echo "$w" 2>/dev/null >$dev/fw_reload || { echo "'$w' was taken"; return 1; }; done; }
ok "only 1 reloads" what_is_written
modes() { [ "$(stat -c %a $dev/fw_reload $dev/fw_signature $param | xargs)" = '200 444 644' ]; }
ok "only root reloads, everybody sees the signature" modes
busy() {
	background "$tmp/hold" "$client" hold 3 || return 1
	local pid=$!
	dmesg -C
	reload_gives 'Device or resource busy' && [ -z "$(complaints)" ] && ! announced && wait $pid && cat "$tmp/hold" && grep -q 'short 1' "$tmp/hold"
}
ok "with a queue on the card there is no reload, and the queue does not notice" busy
if [ -e /dev/accel/accel1 ]; then
	other_card() {
		background "$tmp/spin" "$client" spin 1 || return 1
		local pid=$!
		reload && "$client" short && kill -0 $pid && kill $pid
	}
	ok "a reload of one card does not disturb another" other_card
fi

# --- a card without firmware ---
missing() {
	unload && rm -f $lib/* && dmesg -C && load && has_none && one_complaint "no firmware: snpu/snpu-fw-1.bin, snpu/snpu-fw-1.[0-9]*.bin.* cannot be read, error -2"
}
ok "without a file the card is there, has no firmware, and the line names the files that were tried" missing
lists() {
	"$build/tools/snpu/snpu" list | tee "$tmp/list"
	grep -q 'SIMULATED card' "$tmp/list" && grep -q 'driver snpu' "$tmp/list" && grep -q 'firmware none' "$tmp/list" && grep -q 'no firmware runs on it: put' "$tmp/list"
}
ok "snpu list: the card is there, the driver is there, firmware is not" lists
next_step() { good && eval "$(sed -n "s/.*then: \(echo 1 | \)sudo \(tee .*fw_reload\).*/\1\2/p" "$tmp/list")" && "$client" short; }
ok "what snpu list says to type makes the card work" next_step
cpu_instead() {
	unload && rm -f $lib/* && load || return 1
	"$build/tools/snpu/snpu" run tests/data/nir/mnist/mnist_lif.nir --input tests/data/nir/mnist/mnist_test1000.npz --samples 1 >"$tmp/run" 2>&1 &&
		grep -q 'CPU of this machine' "$tmp/run" && grep -q 'no firmware runs on it' "$tmp/run"
}
ok "a run goes to the CPU and says why" cpu_instead
quiet() { # nothing that is done to it makes it do something
	dmesg -C
	echo 1 >"$dbg/force_reset"
	! echo 0 2>/dev/null >"$dbg/force_crash" && sleep 1 && cat "$dbg/queues" "$dbg/registers" "$dbg/firmware_log" >"$tmp/debug" && has_none && [ -z "$(complaints)" ]
}
ok "without firmware there is nothing to reset or to crash" quiet
rebind() { for _ in 1 2 3; do echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind && echo "$bdf" >/sys/bus/pci/drivers/snpu/bind && node_wait && has_none || return 1; done; }
ok "a card without firmware is unbound and bound" rebind
reload_none() { dmesg -C && reload_gives 'No such file or directory' && one_complaint 'no firmware' && has_none; }
ok "a reload without a file changes nothing" reload_none
open_file() { # the file was opened before there was firmware
	background "$tmp/wait" bash -c 'exec 7<>/dev/accel/accel0; echo ready; exec sleep 1' && good && reload && "$client" short
}
ok "firmware comes while files are open" open_file

# --- broken images: signed, so that it is the check meant that refuses them ---
refuses() { # refuses ERROR WORDS: what is installed now, at a reload and at a load
	reload_gives "$1" && one_complaint "$2" && signature '^ok:' && "$client" short || return 1
	unload && dmesg -C && load && one_complaint "$2" && has_none || return 1
	good && reload && "$client" short
}
bad() { # bad HOW WORDS
	put "$build/firmware/bad/$1" && dmesg -C && refuses 'Invalid argument' "$2"
}
for how in 'magic the magic' 'header the size of the header' 'major ABI' 'size the size of the file' 'hash SHA-256' 'section section' 'entry entry point'; do
	ok "an image with a wrong ${how%% *} is refused, the old one runs on; a card without any stays without" bad "${how%% *}" "${how#* }"
done
of_size() { # of_size BYTES WORDS: the good one, cut or with zeroes behind it
	put "$build/firmware" && truncate -s "$1" $lib/$name && sign $lib/$name && dmesg -C && refuses 'Invalid argument' "$2"
}
ok "an image of 100 bytes" of_size 100 'the size of the file is 0x64, must be at least'
ok "an image of 2 MiB" of_size 2M 'the size of the file is 0x200000, must be at most 0x100000'
survives() { # the image in memory is replaced only when another one works
	put "$build/firmware/bad/hash" && ! reload && rm -f $lib/* && echo 1 >"$dbg/force_reset" && "$client" short && signature '^ok:'
}
ok "a reset after a refused image boots the one that ran" survives
no_leak() { # 60 images of 1 MiB that are refused
	local before after
	put "$build/firmware/bad/magic" && truncate -s 1M $lib/$name && sign $lib/$name
	reload
	echo 3 >/proc/sys/vm/drop_caches
	before=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
	for _ in $(seq 60); do reload; done
	echo 3 >/proc/sys/vm/drop_caches
	after=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
	echo "available before $before KiB, after $after KiB"
	[ $((before - after)) -lt 30000 ]
}
ok "refused images are freed" no_leak

# --- signatures ---
refused() { reload_gives "$1" && one_complaint "$2" && signature '^ok:' && "$client" short; }	# refused ERROR WORDS
unsigned() { good && rm $lib/$name.p7s && dmesg -C && refuses 'No data available' 'it is not signed'; }
ok "an image without a signature is refused" unsigned
changed() { # changed OFFSET: one bit
	good && printf "\x$(printf %x $((0x$(xxd -s "$1" -l 1 -p $lib/$name) ^ 1)))" | dd of=$lib/$name bs=1 seek="$1" conv=notrunc status=none && dmesg -C &&
		refused 'Key was rejected by service' 'its signature is bad'
}
ok "an image is refused when one bit of the header was changed after signing" changed 36
ok "... or one of its code" changed 5000
swapped() { good && cp "$build/firmware/other/security-2/snpu/$name" $lib/ && dmesg -C && refused 'Key was rejected by service' 'its signature is bad'; }
ok "the signature of another image is refused" swapped
garbage() { # garbage BYTES ERROR
	good && head -c "$1" /dev/urandom >$lib/$name.p7s && dmesg -C && ! reload && one_complaint 'its signature is bad' && "$client" short
}
for n in 0 1 544 65536 100000; do ok "$n bytes of noise as a signature are refused" garbage $n; done
inside() { # the signature brings signed bytes along, which are not the image's
	good && openssl smime -sign -binary -noattr -nocerts -nodetach -md sha256 -in $lib/$name -signer $key.crt -inkey $key.key -outform DER -out $lib/$name.p7s
	dmesg -C
	! reload && complaints | grep -q 'firmware.*its signature is bad' && "$client" short
}
ok "a signature that is not detached is refused" inside
foreign() {
	(cd "$tmp" && "$OLDPWD/tests/kmod/doc-commands.sh" own-key 2>/dev/null && good && cp $lib/$name . && "$OLDPWD/tests/kmod/doc-commands.sh" own-sign && cp $name.p7s $lib/) &&
		dmesg -C && refused 'Required key not available' 'signed with a key that is not trusted'
}
ok "a signature by somebody else, made as docs/firmware.md says, is refused" foreign
own() { # the module that was built with that certificate beside the project's
	unload && ko=$build/kmod/own/snpu.ko load && good && reload && signature '^ok:snpu firmware, development' || return 1
	(cd "$build/keys/own" && cp $lib/$name . && "$OLDPWD/tests/kmod/doc-commands.sh" own-sign) && cp "$build/keys/own/$name.p7s" $lib/ && reload &&
		signature '^ok:my snpu firmware: [0-9a-f]*$' && "$client" short && unload && good && load
}
if [ "$series" = 7.3 ]; then ok "a module built with one's own certificate takes one's own firmware" own; fi
machine() { # a module of this kernel, which the kernel's own key has signed: no firmware, but its signature is good
	local mod size sig
	mod=$(find -L "/lib/modules/$(uname -r)/kernel/crypto" -name '*.ko*' -size -40k | sort | head -1)
	xzcat "$mod" >"$tmp/mod" 2>/dev/null || cp "$mod" "$tmp/mod"
	size=$(stat -c %s "$tmp/mod")
	sig=$((0x$(tail -c 32 "$tmp/mod" | head -c 4 | xxd -p)))	# struct module_signature.sig_len, big-endian, before the 28-byte marker
	good && head -c $((size - sig - 40)) "$tmp/mod" >$lib/$name && tail -c $((sig + 40)) "$tmp/mod" | head -c $sig >$lib/$name.p7s && dmesg -C
	refused 'Invalid argument' 'the magic' && printf x >>$lib/$name && dmesg -C && refused 'Key was rejected by service' 'its signature is bad'
}
if [ "$series" = debug ]; then
	skip "a signature by a key that the machine trusts is good" "the debug kernel signs no modules"
else
	ok "a signature by a key that the machine trusts is good" machine
fi

# --- fw_sig=warn ---
warns() {
	good && rm $lib/$name.p7s && echo warn >$param && dmesg -C && reload && announced | grep 'NOT SIGNED' && [ "$(announced | wc -l)" = 1 ] &&
		[ -z "$(complaints)" ] && signature '^unsigned$' && "$client" short
}
ok "fw_sig=warn: an image without a signature runs, and is called that" warns
warns_not() { good && truncate -s -8 $lib/$name && dmesg -C && reload_gives 'Key was rejected by service' && one_complaint 'its signature is bad' && signature '^unsigned$'; }
ok "... but not one whose signature is bad" warns_not
claims() { # an unsigned image's security version is only a claim
	put "$build/firmware/other/security-2" && rm $lib/$name.p7s && reload && signature '^unsigned$' && echo require >$param && good && reload && signature '^ok:'
}
ok "... and its security version does not count" claims
given() {
	good && rm $lib/$name.p7s && unload && load fw_sig=warn && signature '^unsigned$' && unload && ! insmod "$ko" fw_sig=maybe 2>/dev/null && good && load &&
		[ "$(cat $param)" = require ] && ! echo never 2>/dev/null >$param && [ "$(cat $param)" = require ]
}
ok "fw_sig can be given at load, is require by default, and nothing but require or warn" given

# --- names, versions of the ABI ---
minor=$(sed -n 's/^#define SNPU_FW_ABI_MINOR[[:space:]]*\([0-9]*\).*/\1/p' hw/snpu_fw_abi.h)
by_minor() { # by_minor N: the file with the ABI's minor version in its name, when there is no other
	good && mv $lib/$name "$lib/snpu-fw-1.$1.bin" && mv $lib/$name.p7s "$lib/snpu-fw-1.$1.bin.p7s" && dmesg -C && reload && [ "$(announced | wc -l)" = 1 ] && "$client" short
}
for n in $(seq 0 "$minor"); do ok "firmware is found as snpu-fw-1.$n.bin" by_minor "$n"; done
abi() { # abi N IS: firmware of minor version N, ABI 1.IS is used
	put "$build/firmware/other/minor-$1" && dmesg -C && reload && announced && announced | grep -q "ABI 1.$2," && "$client" short && unload && load && "$client" short
}
ok "newer firmware runs with this driver" abi $((minor + 1)) "$minor"
ok "older firmware runs with this driver" abi 0 0

# --- at the same time ---
storm_ends() { good && reload && "$client" short && no_objects; }
writers() { # each of four reloads five times: one after the other, all well
	good && dmesg -C
	for _ in 1 2 3 4; do (for _ in 1 2 3 4 5; do reload || exit 1; done) & done
	local bad=0 p
	for p in $(jobs -p); do wait "$p" || bad=1; done
	announced
	[ $bad = 0 ] && [ "$(announced | wc -l)" = 20 ] && [ -z "$(complaints)" ] && "$client" short
}
ok "four write to fw_reload at the same time" writers
endless() { while [ ! -e "$tmp/stop" ]; do { echo 1 >$dev/fw_reload; } 2>/dev/null; done; }	# reloads, whatever comes of it
with_endless() { # with_endless COMMAND...: while two reload
	rm -f "$tmp/stop"
	endless & local a=$!
	endless & local b=$!
	"$@"
	local status=$?
	touch "$tmp/stop"
	wait $a $b
	return $status
}
resets() { for _ in $(seq 10); do echo 1 >"$dbg/force_reset" && sleep 0.1; done; }
ok "reloads and resets" with_endless resets
clients() { for _ in $(seq 8); do "$client" busy 1 || return 1; done; }
ok "reloads and clients: no client is disturbed" with_endless clients
unbinds() { for _ in $(seq 6); do echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind && sleep 0.2 && echo "$bdf" >/sys/bus/pci/drivers/snpu/bind && node_wait && sleep 0.3 || return 1; done; }
ok "reloads and unbinding" with_endless unbinds
unloads() { for _ in $(seq 4); do unload && load || return 1; done; }
ok "reloads and unloading" with_endless unloads
ok "the card works after that, and nothing is left" storm_ends
half() { while [ ! -e "$tmp/stop" ]; do good; rm -f $lib/$name.p7s; put "$build/firmware/bad/entry"; done; }	# good, unsigned, broken
changing() {
	half & local h=$!
	with_endless resets && with_endless unbinds
	local status=$?
	touch "$tmp/stop"
	wait $h
	return $status
}
ok "reloads, resets and unbinding while the files change" changing
ok "the card works after that, too, and nothing is left" storm_ends

# --- security versions: from here on the card refuses what it has taken so far ---
raise() { put "$build/firmware/other/security-2" && reload && grep -q 'FW_MIN_SECURITY *00000002' "$dbg/registers" && "$client" short; }
ok "an image with a larger security version runs, and the card remembers it" raise
old() { good && dmesg -C && reload_gives 'Operation not permitted' && one_complaint 'its security version is 1, and the card has run 2' && "$client" short; }
ok "after that an older image is refused" old
keeps() { unload && dmesg -C && load && one_complaint 'its security version is 1, and the card has run 2' && has_none; }
ok "... also when the module is loaded again, because the card knows" keeps
zero() { put "$build/firmware/other/security-0" && dmesg -C && reload_gives 'Operation not permitted' && one_complaint 'its security version is 0'; }
ok "... and when it has no security version" zero
not_even_unsigned() { echo warn >$param && good && rm $lib/$name.p7s && reload_gives 'Operation not permitted'; local st=$?; echo require >$param; return $st; }
ok "... and when it need not be signed" not_even_unsigned
newer() { put "$build/firmware/other/security-2" && reload && "$client" short; }
ok "the newer one runs" newer
if dmesg | grep -q 'MSI-X vector'; then
	skip "the driver remembers when the card forgets" "QEMU aborts when a card with MSI-X is unplugged; the run with --msi shows it"
else
	replug() { # another life of the same card: its power was off
		vmhost unplug 0 && good && dmesg -C && vmhost plug 0 && node_wait && sleep 1 && grep -q 'FW_MIN_SECURITY *00000000' "$dbg/registers" &&
			one_complaint 'its security version is 1, and the card has run 2' && has_none && newer && grep -q 'FW_MIN_SECURITY *00000002' "$dbg/registers"
	}
	ok "the driver remembers when the card forgets" replug
	unplugs() { # taken away while it gets firmware
		vmhost unplug 0
		vmhost plug 0 && node_wait && sleep 1
	}
	ok "unplug in the middle of reloads" with_endless unplugs
	ok "the card works after that, and nothing is left" eval 'newer && no_objects'
fi

# --- lockdown: for the rest of the machine's life ---
lockdown() {
	mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
	echo warn >$param && rm -f $lib/$name.p7s && echo integrity >/sys/kernel/security/lockdown && dmesg -C
	reload_gives 'No data available' && one_complaint 'it is not signed.*fw_sig=warn is not obeyed while the kernel is locked down' && signature '^ok:' && "$client" short &&
		put "$build/firmware/other/security-2" && reload && signature '^ok:'
}
if [ "$series" = debug ]; then
	skip "fw_sig=warn is not obeyed while the kernel is locked down" "the debug kernel cannot be locked down"
else
	ok "fw_sig=warn is not obeyed while the kernel is locked down" lockdown
fi
last() { # the machine goes off like this: no firmware, and somebody who tries to change that
	rm -f "$tmp/stop" $lib/*
	echo "$bdf" >/sys/bus/pci/drivers/snpu/unbind && echo "$bdf" >/sys/bus/pci/drivers/snpu/bind && node_wait && signature '^none$' || return 1
	(half & endless &) >/dev/null 2>&1 </dev/null
}
if [ "$series" = debug ]; then
	skip "the machine is switched off while a card without firmware gets some" "leaked memory is looked for first"
else
	ok "the machine is switched off while a card without firmware gets some" last
fi
done_testing
