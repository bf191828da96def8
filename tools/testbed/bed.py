# SPDX-License-Identifier: MIT
"""The test bed on disk: which kernels there are, their modules in load order, and the initramfs of one run.

Read-only users of what tools/setup.sh unpacked. Nothing here starts a process or knows about QEMU.
"""
import fcntl
import lzma
import os
import re
import stat
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


class BedError(Exception):
    """The test bed, a module or an option cannot be used. The text says what to do."""


class Bed:
    """The unpacked root, locked against removal for as long as this object lives."""

    def __init__(self):
        cache = os.environ.get("SNPU_CACHE")
        if not cache:
            cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "snpu")
        self.dir = Path(cache).resolve() / "testbed"
        try:
            self._lock = open(self.dir / "lock")
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            self.root = (self.dir / "root").resolve(strict=True)
        except OSError:
            raise BedError(f"no test bed in {self.dir}. Run tools/setup.sh --testbed") from None

    def kernel(self, wanted):
        """The Kernel of a series (6.12) or release (6.12.117+deb13-amd64), or the debug kernel."""
        if wanted == "debug":
            return self.debug_kernel()
        have = [line.split() for line in (self.root / "kernels").read_text().splitlines()]
        for series, release, image in have:
            if wanted in (series, release):
                if not release.startswith(series + "."):
                    print(f"vm: kernel {series} has left the archive; {release} stands in for it", file=sys.stderr)
                return Kernel(self.root, series, release, image)
        names = ", ".join(f"{series} ({release})" for series, release, _ in have)
        raise BedError(f"the test bed has no kernel {wanted}, only {names}. Choose one or run tools/setup.sh --refresh")

    def debug_kernel(self):
        """What tools/kernel-debug built, in a root of its own that is locked like the other."""
        try:
            self._debug_lock = open(self.dir / "debug/lock")
            fcntl.flock(self._debug_lock, fcntl.LOCK_SH)
            root = (self.dir / "debug/root").resolve(strict=True)
            series, release, image = (root / "kernels").read_text().split()
        except OSError:
            raise BedError(f"no debug kernel in {self.dir}/debug. Run tools/kernel-debug") from None
        return Kernel(root, series, release, image)


class Kernel:
    """One kernel release of the test bed: image, and modules with what they depend on."""

    def __init__(self, root, series, release, image):
        self.series, self.release, self.image = series, release, root / image
        self.modules = root / "usr/lib/modules" / release
        # As it was packed. It boots slower, but QEMU does not write it into the guest's memory again when that wakes up.
        packed = [p for p in (root / f"boot/vmlinuz-{release}", self.modules / "vmlinuz") if p.exists()]
        self.packed = packed[0] if packed else self.image
        self._path, self._deps = {}, {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, deps = line.split(":", 1)
            name = module_name(path)
            self._path[name] = path
            self._deps[name] = deps.split()  # depmod writes the whole closure, nearest first
        self._builtin = {module_name(p) for p in (self.modules / "modules.builtin").read_text().split()}

    def load_order(self, names):
        """Names of in-tree modules -> names of all that must be loaded, each after what it needs; built-ins dropped."""
        order = []
        for name in names:
            name = module_name(name)
            if name in self._builtin:
                continue
            if name not in self._path:
                raise BedError(f"kernel {self.release} has no module {name}. Look below {self.modules}/kernel")
            order += [module_name(d) for d in reversed(self._deps[name])] + [name]
        return list(dict.fromkeys(order))

    def read(self, name):
        """The module's ELF file; the kernel's packages hold them xz-compressed."""
        data = (self.modules / self._path[name]).read_bytes()
        return lzma.decompress(data) if self._path[name].endswith(".xz") else data


def module_name(path):
    """kernel/drivers/gpu/drm/scheduler/gpu-sched.ko.xz -> gpu_sched, as the kernel spells it."""
    return re.sub(r"\.ko(\.xz)?$", "", os.path.basename(path)).replace("-", "_")


def module_depends(elf, kernel, path):
    """What a module of ours names in its .modinfo. Refuses one that was built for another kernel."""
    info = dict(re.findall(rb"\0?(depends|vermagic)=([^\0]*)\0", elf))
    if b"vermagic" not in info:
        raise BedError(f"{path} is not a kernel module. Build it with tools/kbuild")
    built_for = info[b"vermagic"].split()[0].decode()
    if built_for != kernel.release:
        raise BedError(f"{path} was built for {built_for}, and the VM runs {kernel.release}. "
                       f"Run tools/kbuild --kernel {kernel.series}")
    return [d for d in info.get(b"depends", b"").decode().split(",") if d]


class Initramfs:
    """A cpio archive in the "newc" format, which is what the kernel unpacks into its first root."""

    def __init__(self):
        self._parts, self._seen = [], set()

    def add(self, name, data=b"", mode=0o644):
        """Add a regular file and the directories above it. data: bytes or str; mode: permission bits."""
        for parent in reversed(list(Path(name).parents)[:-1]):
            if str(parent) not in self._seen:
                self._record(str(parent), b"", stat.S_IFDIR | 0o755)
        self._record(name, data.encode() if isinstance(data, str) else data, stat.S_IFREG | mode)

    def add_tree(self, name, directory):
        """Add all files below a host directory as name/..."""
        for path in sorted(Path(directory).rglob("*")):
            if path.is_file():
                self.add(f"{name}/{path.relative_to(directory)}", path.read_bytes())

    def _record(self, name, data, mode):
        self._seen.add(name)
        # Inode, mode, uid, gid, nlink, mtime, size, device numbers (4), name length with its 0, checksum (unused).
        fields = (len(self._seen), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        self._parts += [head + bytes(-len(head) % 4), data + bytes(-len(data) % 4)]

    def bytes(self):
        self._record("TRAILER!!!", b"", 0)
        return b"".join(self._parts)
