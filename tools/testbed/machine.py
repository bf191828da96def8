# SPDX-License-Identifier: MIT
"""The processes of one run: the simulators that serve the cards, and QEMU with its monitor.

Children die with this process, also when it is killed by SIGKILL (setpriv --pdeathsig). They are started and waited
for by the main thread only, because that signal follows the thread which started the child.
"""
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time

from bed import BedError


def spawn(argv, interactive=False, **kw):
    """Popen whose child dies with us; in a session of its own unless it shall own the terminal, so that Ctrl-C
    reaches this program alone, which then ends its children in order."""
    argv = ["setpriv", "--pdeathsig", "KILL", "--", *(str(a) for a in argv)]
    return subprocess.Popen(argv, start_new_session=not interactive, **kw)


def end(proc, grace=5.0):
    """Ask, wait, kill. Returns the exit status as Popen gives it."""
    if proc.poll() is None:
        proc.terminate()
        proc.send_signal(signal.SIGCONT)
        try:
            return proc.wait(grace)
        except subprocess.TimeoutExpired:
            proc.kill()
    return proc.wait()


class Card:
    """One card: a simulator process, its socket, and its place in the machine (root port rpN, slot N+1)."""

    READY_S = 30.0  # a sanitized simulator on a busy machine

    def __init__(self, index, sim, args, rundir):
        self.index, self.id, self.bus = index, f"card{index}", f"rp{index}"
        self.socket = os.path.join(rundir, f"card{index}.sock")
        self.log = os.path.join(rundir, f"card{index}.log")
        self._argv = [sim, "--socket", self.socket, "--serial", str(index + 1), *args]
        self._ended = False  # on request, so its status says nothing
        self.proc = None

    def start(self):
        """Start the simulator and wait until it says that it listens."""
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self._ended = False
        with open(self.log, "ab") as log:
            self.proc = spawn(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self._hear("ready")

    def _hear(self, word):
        """Wait until the simulator says it."""
        seen, deadline = b"", time.monotonic() + self.READY_S
        while word.encode() not in seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.proc.stdout], [], [], left)[0]:
                raise BedError(f"{self._argv[0]} did not say \"{word}\" within {self.READY_S:.0f} s:\n{self.log_tail()}")
            got = os.read(self.proc.stdout.fileno(), 4096)
            if not got:
                raise BedError(f"{self._argv[0]} ended with status {self.proc.wait()} before it was ready:\n"
                               f"{self.log_tail()}")
            seen += got

    def fault(self, what):
        """A fault on purpose, for a simulator with --faults."""
        if "--faults" not in self._argv:
            raise BedError("this card has no faults on purpose: start the VM with --sim-arg=--faults")
        self.proc.stdin.write(f"{what}\n".encode())
        self.proc.stdin.flush()
        self._hear(f"fault {what}\n")

    def kill(self):
        self._ended = True
        self.proc.kill()
        self.proc.wait()

    def pause(self, seconds):
        """Stop the simulator for so long. The guest stands still as soon as it touches the card, so it could not
        ask for the end of the pause itself."""
        self.proc.send_signal(signal.SIGSTOP)
        threading.Timer(seconds, self.proc.send_signal, [signal.SIGCONT]).start()

    def stop(self):
        """End the simulator. Returns a sentence when it had died by itself or ends with an error, else None."""
        if self.proc is None or self._ended:
            return None
        died = self.proc.poll() is not None
        status = end(self.proc)
        self._ended = True
        if not died and status in (0, -signal.SIGTERM):
            return None
        how = "was dead before the VM ended" if died else "did not end cleanly"
        return f"the simulator of card {self.index} {how} (status {status}):\n{self.log_tail()}"

    def log_tail(self, lines=40):
        with open(self.log, errors="replace") as log:
            return "".join(f"    {line}" for line in log.readlines()[-lines:]).rstrip()

    def device(self):
        """Arguments of device_add. A register access may take as long as a sanitized simulator needs."""
        return {"driver": "vfio-user-pci", "id": self.id, "bus": self.bus, "x-msg-timeout": 60000,
                "socket": {"path": self.socket, "type": "unix"}}


class Qmp:
    """QEMU's machine protocol over a connected socket. One caller at a time."""

    def __init__(self, sock):
        self._sock, self._buf, self._events = sock, b"", []
        self._message(30.0)  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, arguments=None, timeout=60.0):
        """Returns what the command returns; raises BedError with QEMU's own words when it refuses."""
        request = {"execute": command, "arguments": arguments or {}}
        self._sock.sendall(json.dumps(request).encode() + b"\n")
        while True:
            reply = self._message(timeout)
            if "event" in reply:
                self._events.append(reply)
            elif "error" in reply:
                raise BedError(f"{command}: {reply['error']['desc']}")
            else:
                return reply["return"]

    def wait_event(self, name, device, timeout):
        deadline = time.monotonic() + timeout
        while True:
            for event in self._events:
                if event["event"] == name and event.get("data", {}).get("device") == device:
                    self._events.remove(event)
                    return
            reply = self._message(deadline - time.monotonic())
            if "event" in reply:
                self._events.append(reply)

    def forget_events(self):
        self._events.clear()

    def _message(self, timeout):
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buf:
            self._sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                got = self._sock.recv(65536)
            except TimeoutError:
                raise BedError(f"QEMU did not answer within {timeout:.0f} s") from None
            if not got:
                raise BedError("QEMU closed its monitor")
            self._buf += got
        line, self._buf = self._buf.split(b"\n", 1)
        return json.loads(line)


class Machine:
    """QEMU's command line, built from the options, and the process."""

    IOMMU_ARGS = {"off": "", "pt": "intel_iommu=on iommu=pt", "strict": "intel_iommu=on iommu.strict=1"}
    # Which hot-plug the guest sees; the first is QEMU's default. See tools/vm --help.
    HOTPLUG = {"acpi": (False, ""), "native": (True, ""), "off": (True, ",hotplug=off")}

    def __init__(self, qemu, opts, kernel, rundir, cards):
        self._sockets = {name: socket.socketpair() for name in ("out", "err", "ctl", "qmp")}
        self.console = os.path.join(rundir, "console.log")
        self._rundir, self._opts, self._cards = rundir, opts, cards
        self._argv = [qemu, *self._base(kernel), *self._iommu(), *self._ports(), *self._shares(), *self._disks(),
                      *self._slots(), *opts.qemu_arg]
        self.proc = None

    def _base(self, kernel):
        o = self._opts
        ram = f"{o.memory >> 20}M"
        split = ",kernel-irqchip=split" if o.iommu != "off" else ""
        # no_timer_check: on a busy host the timer interrupt of a TCG guest may come too late for that check.
        append = f"console=ttyS0 panic=-1 no_timer_check {self.IOMMU_ARGS[o.iommu]} {o.kernel_args}"
        # phys-bits: with 40, large BARs end up in a range that Linux does not give out again after a hot-plug.
        image = kernel.packed if o.hotplug == "off" else kernel.image  # see Kernel
        return ["-accel", "tcg,thread=multi", "-cpu", "max,phys-bits=39", "-smp", o.smp, "-m", ram,
                "-M", f"q35,memory-backend=ram{split}", "-object", f"memory-backend-memfd,id=ram,size={ram},share=on",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", image, "-initrd", os.path.join(self._rundir, "initrd"), "-append", append,
                "-serial", f"file:{self.console}"]

    def _iommu(self):
        return [] if self._opts.iommu == "off" else ["-device", "intel-iommu,intremap=on,caching-mode=on"]

    def _ports(self):
        args = ["-device", "virtio-serial-pci"]
        for name in ("out", "err", "ctl"):
            args += ["-chardev", f"socket,id={name},fd={self._sockets[name][1].fileno()}",
                     "-device", f"virtserialport,chardev={name},name={name}"]
        args += ["-chardev", f"socket,id=qmp,fd={self._sockets['qmp'][1].fileno()}", "-qmp", "chardev:qmp"]
        if self._opts.qmp:
            args += ["-qmp", f"unix:{self._opts.qmp},server=on,wait=off"]
        if self._opts.shell:
            args += ["-chardev", "stdio,id=tty,mux=on,signal=off", "-serial", "chardev:tty", "-monitor", "chardev:tty"]
        return args

    def _shares(self):
        args = []
        for tag, path, readonly in [("host", "/", True)] + self._opts.shares:
            path = str(path).replace(",", ",,")
            args += ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap"
                               f",readonly={'on' if readonly else 'off'}",
                     "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return args

    def _disks(self):
        if not self._opts.nvme:
            return []
        path = os.path.join(self._rundir, "nvme.img")
        with open(path, "wb") as disk:
            disk.truncate(self._opts.nvme)
        return ["-drive", f"file={path},if=none,id=nvme0,format=raw", "-device", "nvme,drive=nvme0,serial=snpu-bench"]

    def _slots(self):
        native, port = self.HOTPLUG[self._opts.hotplug]
        args = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"] if native else []
        driver = "pcie-root-port"
        if self._opts.switch:
            args += ["-device", "pcie-root-port,id=rp,slot=0,chassis=0", "-device", "x3130-upstream,id=up,bus=rp"]
            driver = "xio3130-downstream,bus=up"
        for card in self._cards:
            n = card.index
            args += ["-device", f"{driver},id={card.bus},slot={n + 1},chassis={n + 1}{port}",
                     "-device", json.dumps(card.device())]
        return args

    def start(self):
        fds = [pair[1].fileno() for pair in self._sockets.values()]
        stdin = None if self._opts.shell else subprocess.DEVNULL
        with open(os.path.join(self._rundir, "qemu.log"), "wb") as log:
            self.proc = spawn(self._argv, interactive=self._opts.shell, stdin=stdin, pass_fds=fds,
                              stdout=None if self._opts.shell else log, stderr=log)
        for _, far in self._sockets.values():
            far.close()

    def socket(self, name):
        return self._sockets[name][0]

    def errors(self):
        """What QEMU itself complained about, without what is known to be harmless."""
        with open(os.path.join(self._rundir, "qemu.log"), errors="replace") as log:
            lines = [line.rstrip() for line in log]
        return "\n".join(line for line in lines if "TCG doesn't support requested feature" not in line
                         and "Could not enable error recovery" not in line)

    def close(self):
        if self.proc is not None:
            end(self.proc, 2.0)
        for near, far in self._sockets.values():
            near.close()
            far.close()
