#!/bin/bash
# SPDX-License-Identifier: MIT
# The test bed's own test: tools/kbuild and tools/vm bring back what a command did, exactly, and call every way in
# which kernel, guest or card can fail a failure. Needs no driver; a small module made here stands in for it.
# $O names the build directory, as for make. Boots six VMs, each with several questions, to stay cheap.
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
SIM=$(realpath -m "${O:-build}/sim/snpu-sim")
T=$(mktemp -d /tmp/snpu-vmtest.XXXXXX)
export TMPDIR=$T/tmp # where tools/vm keeps its run directories: must be empty in the end
mkdir -p "$TMPDIR" "$T/src/kmod" "$T/share" "$T/fw/snpu"
chmod 755 "$T" "$TMPDIR"
chmod 777 "$T/share"
trap 'rm -rf "$T"' EXIT

equal() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1'"; return 1; }; }
has() { grep -qE -- "$2" "$1" || { echo "no '$2' in $1:"; tail -n 20 "$1"; return 1; }; }
has_not() { ! has "$@" >/dev/null || { echo "'$2' is in $1:"; grep -E -- "$2" "$1"; return 1; }; }

# vm NAME OPTIONS...: status to $status, output to $T/NAME.{out,err}, kernel log to $T/NAME.log.
vm() {
	local name=$1
	shift
	tools/vm --log "$T/$name.log" "$@" >"$T/$name.out" 2>"$T/$name.err"
	status=$?
}
processes() { pgrep -f "$TMPDIR" || true; } # every child of tools/vm has its run directory in its arguments

# --- the module builder ------------------------------------------------------------------------------------------

cat >"$T/src/Kbuild" <<'EOF'
obj-m := vmtest.o
vmtest-y := kmod/vmtest_main.o
EOF
cat >"$T/src/kmod/vmtest_main.c" <<'EOF'
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/firmware.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <drm/drm_exec.h>

static char *mode = "";
module_param(mode, charp, 0444);

static int __init vmtest_init(void)
{
	struct platform_device *pdev = platform_device_register_simple("vmtest", -1, NULL, 0);
	const struct firmware *fw;
	struct drm_exec exec;

	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	if (!request_firmware(&fw, "snpu/vmtest.bin", &pdev->dev)) {
		pr_info("vmtest: firmware %.*s\n", (int)fw->size, fw->data);
		release_firmware(fw);
	}
	platform_device_unregister(pdev);
	drm_exec_init(&exec, 0, 0);
	drm_exec_fini(&exec);
	pr_info("vmtest: loaded, mode %s\n", mode);
	return strcmp(mode, "refuse") ? 0 : -ENODEV;
}

static void __exit vmtest_exit(void)
{
	pr_info("vmtest: unloaded\n");
}

module_init(vmtest_init);
module_exit(vmtest_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("stands in for the driver in the test of the test bed");
EOF
printf 'FIRMWARE-TEXT' >"$T/fw/snpu/vmtest.bin"

for k in 6.12 7.3; do
	ok "kbuild: builds for $k without a warning" \
		tools/kbuild --kernel $k --source "$T/src" --out "$T/ko/$k" --werror W=1
done
cp -r "$T/src" "$T/bad"
echo 'int vmtest_unasked(void) { return 0; }' >>"$T/bad/kmod/vmtest_main.c"
tools/kbuild --kernel 6.12 --source "$T/bad" --out "$T/ko/bad" W=1 >"$T/kbuild.out" 2>&1
ok "kbuild: a warning alone does not stop the build" equal $? 0
ok "kbuild: but it is shown, with the path in the tree" has "$T/kbuild.out" '^kmod/vmtest_main\.c:.*warning: no previous prototype'
tools/kbuild --kernel 6.12 --source "$T/bad" --out "$T/ko/bad" --werror W=1 >"$T/kbuild.out" 2>&1
ok "kbuild --werror: a warning stops it" equal $? 1
ok "kbuild: a failed build leaves no module behind" test ! -e "$T/ko/bad/vmtest.ko"

# --- what comes back: output bit for bit, status, files, identity ------------------------------------------------

head -c 5000000 /dev/urandom >"$T/blob"
chmod 644 "$T/blob"
vm user --kernel 6.12 --user --share "$T/share" --module "$T/ko/6.12/vmtest.ko" --module-args mode=quiet --firmware "$T/fw" -- \
	sh -c 'cat "$1/blob"; { uname -r; id -Gn; pwd; lsmod; mount; echo reopened >/dev/stderr; } >&2; echo kept >"$1/share/f"; exit 7' - "$T"
ok "status 7 comes back" equal "$status" 7
ok "5 MB of random bytes come back unchanged" cmp "$T/user.out" "$T/blob"
ok "stderr is a stream of its own" has "$T/user.err" '^6\.12\.'
ok "--user: in group render" has "$T/user.err" '^snpu render$'
ok "the current directory is the host's" has "$T/user.err" "^$PWD\$"
ok "stderr can be opened again by an ordinary user" has "$T/user.err" '^reopened$'
ok "debugfs is mounted" has "$T/user.err" '^debugfs on /sys/kernel/debug '
ok "--share: a file written in the guest is on the host" has "$T/share/f" '^kept$'
ok "--module: loaded after the modules it needs" has "$T/user.err" '^drm_exec .*vmtest'
ok "--module-args" has "$T/user.log" 'vmtest: loaded, mode quiet'
ok "--firmware: the kernel finds it" has "$T/user.log" 'vmtest: firmware FIRMWARE-TEXT'

vm root --kernel 7.3 --nvme 64M --env ANSWER=42 --module "$T/ko/7.3/vmtest.ko" -- \
	sh -c 'uname -r; id -u; echo $ANSWER; test -b /dev/nvme0n1 && echo nvme; echo lost >"$1/lost" && rmmod vmtest && kill -SEGV $$' - "$T"
ok "a command killed by SIGSEGV ends with 139" equal "$status" 139
ok "7.3: kernel, root, environment and disk" equal "$(sed 's/^7\.3\..*/7.3/' "$T/root.out" | xargs)" "7.3 0 42 nvme"
ok "writes outside a share do not reach the host" test ! -e "$T/lost"
ok "the kernel log goes on to the end" has "$T/root.log" 'vmtest: unloaded'

# --- what must be called a failure -------------------------------------------------------------------------------

vm panic -- sh -c 'echo before; echo c >/proc/sysrq-trigger; sleep 100'
ok "a panic is a failure of its own" equal "$status" 121
ok "a panic: the kernel's words are shown" has "$T/panic.err" 'Kernel panic - not syncing'
ok "a panic: what was printed before is not lost" equal "$(cat "$T/panic.out")" before

vm slow --timeout 2 --allow-kernel-warnings -- sh -c 'echo "BUG: made up" >/dev/kmsg; sleep 100'
ok "--timeout" equal "$status" 124

vm hang --boot-timeout 2 --qemu-arg=-S -- true
ok "a guest that hangs while booting is a failure" equal "$status" 123
ok "it is tried a second time, and not a third" equal "$(grep -c 'did not boot within 2 s' "$T/hang.err")" 2

vm refused --module "$T/ko/6.12/vmtest.ko" -- true
ok "a module for another kernel is refused by name" has "$T/refused.err" 'was built for 6\.12.*tools/kbuild --kernel 7\.3'
vm missing --cards 1 --sim "$T/none" -- true
ok "a simulator that does not exist is named" has "$T/missing.err" "$T/none does not exist"
vm deadsim --cards 1 --sim /bin/false -- true
ok "a simulator that ends at once is a failure" equal "$status" 123
vm kernel --kernel 5.10 -- true
ok "a kernel that is not there: the ones that are get named" has "$T/kernel.err" '6\.12.*7\.3'
ok "wrong usage has its own status" equal "$status" 125

# --- cards ---------------------------------------------------------------------------------------------------------

cat >"$T/sim-bad-end" <<EOF
#!/bin/sh
"$SIM" "\$@" & sim=\$!
trap 'kill \$sim; wait \$sim; echo "made-up leak report" >&2; exit 23' TERM
wait \$sim
EOF
chmod 755 "$T/sim-bad-end"
vm cards --cards 2 --msi --iommu strict --sim "$SIM" -- sh -c '
	count() { cat /sys/bus/pci/devices/*/device | grep -c 0x10f5; }
	count; ls /sys/kernel/iommu_groups | wc -l
	vmhost unplug 1; count; vmhost plug 1; sleep 1; count
	vmhost sim-kill 0; vmhost unplug 0; vmhost sim-start 0; vmhost plug 0; sleep 1; count
	vmhost unplug 5 || echo refused
	echo "WARNING: CPU: 0 PID: 1 at made/up.c:1" >/dev/kmsg'
ok "two cards, unplugged, killed, replaced" equal "$(sed 2d "$T/cards.out" | xargs)" "2 1 2 2 refused"
ok "--iommu strict: devices have groups" test "$(sed -n 2p "$T/cards.out")" -gt 2
ok "vmhost says why it cannot" has "$T/cards.err" 'unplug 5: give the number of a card: there are 2'
ok "a kernel warning makes a command that succeeds fail" equal "$status" 120
ok "a kernel warning is shown" has "$T/cards.err" 'made/up\.c'
vm badend --cards 1 --sim "$T/sim-bad-end" -- true
ok "a simulator that ends with an error fails the run" equal "$status" 122
ok "what it said is shown" has "$T/badend.err" 'made-up leak report'

# --- nothing stays behind ------------------------------------------------------------------------------------------

for sig in TERM KILL; do
	tools/vm --cards 1 --sim "$SIM" -- sleep 100 >"$T/sig.out" 2>&1 &
	pid=$!
	for _ in $(seq 100); do # until QEMU runs
		pgrep -f "console.log.*$TMPDIR|$TMPDIR.*console.log" >/dev/null && break
		sleep 0.1
	done
	running=$(processes | wc -l)
	kill -$sig $pid
	wait $pid 2>/dev/null
	status=$?
	sleep 0.5
	ok "SIG$sig in mid-run: simulator and QEMU had been there" equal "$running" 2
	ok "SIG$sig in mid-run: every process is gone" equal "$(processes)" ""
	ok "SIG$sig in mid-run: the status says so" equal $status $((128 + $(kill -l $sig)))
	[ $sig = TERM ] || rm -rf "$TMPDIR"/snpu-vm.* # SIGKILL leaves no chance to tidy up
done
ok "no run directory stays behind" equal "$(ls "$TMPDIR")" ""
done_testing
