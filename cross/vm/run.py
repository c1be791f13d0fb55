#!/usr/bin/env python3
"""Installs the package in a virtual machine, and lets it run, fail and come back.

    cross/build.sh amd64
    cross/vm/run.py --deb out/packages/alight_*_amd64.deb --alight target/release/alight --out out/vm

Boots Debian 12 with systemd in qemu (software emulation: no KVM, no board). In the machine the package is installed, its service
takes pictures from a pipe (a virtio port) and MAVLink from an emulated FTDI adapter at 921600 baud; at the other ends, on this host,
`alight sim --serve` flies one simulated vehicle in real time and shows what its camera sees. Then things break, one after the other.
An emulated processor is a hundred times slower than a board: the flying network takes seconds a picture. The service is given
a small one (`cross/vm/network`), taught on drawn ground alone; `doctor` loads the flying one and says what it takes here. What happened is written to OUT/vm.json, with the machine's console and journal beside it. Exit code 1 when a step failed.

Needs Debian's qemu-system-x86 mmdebstrap e2fsprogs cpio busybox-static and root. The kernel and the root file system are made once,
in OUT/cache.
"""
import argparse
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

NETWORK = pathlib.Path(__file__).parent / "network"
KERNEL = "linux-image-amd64"
MODULES = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"]
INCLUDE = "systemd,systemd-sysv,udev,kmod,libstdc++6,v4l-utils"
CONFIG = """\
mode = "{mode}"
link = "serial:{port}:921600"
[camera]
source = "{source}"
format = "yuyv"
command = ["cat", "/dev/virtio-ports/camera"]
device = "/dev/video0"
width_px = {size[0]}
height_px = {size[1]}
calibration = "camera.yaml"
rate_hz = 4.0
latency_ms = 100.0
{more}[record]
folder = "/var/lib/alight/flights"
quota_mb = 20
"""
MODEL = """\
[model]
file = "/opt/network/landing.onnx"
"""
# An emulated processor stamps pictures late, so that still ground seems to move, and answers late, so that its word is stale: more is let
# pass than anybody should in the air.
LANDING = MODEL + """\
[supervisor.freshness]
go_max_age_s = 2.0
pose_max_age_s = 0.5
[supervisor.engage]
below_battery = {below}
[supervisor.descent]
last_look_s = 2.0
[landing.monitor]
motion_level = 100.0
"""
CALIBRATION = """\
image_width: {w}
image_height: {h}
camera_matrix: {{rows: 3, cols: 3, data: [{f}, 0.0, {cx}, 0.0, {f}, {cy}, 0.0, 0.0, 1.0]}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [0.0, 0.0, 0.0, 0.0, 0.0]}}
"""
INIT = """\
#!/bin/sh
busybox mount -t devtmpfs dev /dev
for m in {modules}; do busybox insmod /$m.ko; done
until [ -b /dev/vda ]; do busybox sleep 0.2; done
busybox mount -t ext4 /dev/vda /root
exec busybox switch_root /root /sbin/init
"""
SHELL = """\
[Unit]
DefaultDependencies=no
After=local-fs.target systemd-udevd.service
[Service]
ExecStart=/bin/sh -c 'until [ -e /dev/virtio-ports/shell ]; do sleep 0.2; done; exec /bin/bash 0<>/dev/virtio-ports/shell >&0 2>&1'
Restart=always
"""


def run(*command, **more):
    """Runs a command of the host; what it prints, when it fails, is the error."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def kernel(cache):
    """The kernel package, unpacked."""
    tree = cache / "kernel"
    if not tree.exists():
        depends = run("apt-cache", "depends", KERNEL)
        name = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
        run("apt-get", "download", name, cwd=cache)
        run("dpkg", "-x", next(cache.glob("linux-image-*.deb")), tree)
        release = next((tree / "lib/modules").iterdir()).name
        run("depmod", "-b", tree, release)
    return tree


def root(cache):
    """The root file system as an archive."""
    tar = cache / "root.tar"
    if not tar.exists():
        run("mmdebstrap", "--variant=minbase", "--format=tar", f"--include={INCLUDE}", "bookworm", f"{tar}.part")
        os.rename(f"{tar}.part", tar)
    return tar


def initrd(cache, tree):
    """A ram disk that loads the disk's modules and goes on."""
    folder = cache / "initrd"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for d in ("dev", "root", "proc", "sys"):
        (folder / d).mkdir()
    shutil.copy(shutil.which("busybox"), folder / "bin/busybox")
    (folder / "bin/sh").symlink_to("busybox")
    modules = next((tree / "lib/modules").iterdir())
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, more = line.partition(":")
        # What a module needs is listed from it outwards: the last is loaded first.
        needs[pathlib.Path(path).stem] = [path, *more.split()]
    found = []
    for name in MODULES:
        for path in reversed(needs[name]):
            stem = pathlib.Path(path).stem
            if stem not in found:
                shutil.copy(modules / path, folder / f"{stem}.ko")
                found.append(stem)
    (folder / "init").write_text(INIT.format(modules=" ".join(found)))
    (folder / "init").chmod(0o755)
    out = cache / "initrd.img"
    run("sh", "-c", f"cd {folder} && find . | cpio -o -H newc --quiet | gzip -1 > {out}")
    return out


def disk(args, cache, tree, tar):
    """A fresh disk with the package beside it, not installed."""
    folder, image = cache / "root", cache / "disk.img"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run("tar", "-xf", tar, "-C", folder)
    modules = next((tree / "lib/modules").iterdir())
    target = folder / "lib/modules" / modules.name
    target.mkdir(parents=True)
    wanted = ("drivers/usb", "drivers/char", "drivers/media", "drivers/virtio", "lib", "fs/ext4", "fs/jbd2", "fs/mbcache.ko", "crypto", "drivers/i2c",
              "sound/core", "drivers/block", "drivers/hid")
    for part in wanted:
        source = modules / "kernel" / part
        if source.is_dir():
            shutil.copytree(source, target / "kernel" / part)
        elif source.exists():
            (target / "kernel" / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / "kernel" / part)
    for f in modules.glob("modules.*"):
        shutil.copy(f, target)
    run("depmod", "-b", folder, modules.name)
    shutil.copy(args.deb, folder / "root/alight.deb")
    shutil.copytree(NETWORK, folder / "opt/network")
    (folder / "etc/systemd/system/vmshell.service").write_text(SHELL)
    wants = folder / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "vmshell.service").symlink_to("../vmshell.service")
    for unit in ("systemd-timesyncd.service", "getty@tty1.service", "apt-daily.timer", "apt-daily-upgrade.timer"):
        (folder / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (folder / "etc/systemd/system" / unit).symlink_to("/dev/null")
    (folder / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (folder / "etc/hostname").write_text("board\n")
    (folder / "etc/modules-load.d/vm.conf").write_text("virtio_console\nftdi_sio\nxhci_pci\n")
    (folder / "etc/modprobe.d/vivid.conf").write_text("options vivid n_devs=1 num_inputs=1 input_types=0 node_types=0x1\n")
    # The pipe's port stands for a camera: the service, which is not root, may read it as it may a camera.
    (folder / "etc/udev/rules.d/70-vm.rules").write_text('SUBSYSTEM=="virtio-ports", GROUP="video", MODE="0660"\n')
    more = folder / "etc/systemd/system/alight.service.d"
    more.mkdir(parents=True)
    (more / "vm.conf").write_text("[Service]\nDeviceAllow=char-virtio-portsdev rw\n")
    image.unlink(missing_ok=True)
    run("mkfs.ext4", "-q", "-F", "-d", folder, image, "900M")
    shutil.rmtree(folder)
    return image


class Shell:
    """A root shell in the machine, over a virtio port."""

    def __init__(self, path, deadline):
        self.socket = None
        while time.monotonic() < deadline and self.socket is None:
            try:
                s = socket.socket(socket.AF_UNIX)
                s.connect(str(path))
                self.socket = s
            except OSError:
                time.sleep(0.2)
        if self.socket is None:
            raise RuntimeError("the machine's shell port never came")
        self.count = 0
        self.pending = b""

    def __call__(self, command, timeout=120, check=True):
        self.count += 1
        mark = f"=done-{self.count}="
        self.socket.sendall(f"{{ {command}\n}} 2>&1 </dev/null; code=$?; echo; echo {mark}$code=\n".encode())
        found = re.compile(re.escape(mark).encode() + rb"(\d+)=\n")
        deadline = time.monotonic() + timeout
        while not (hit := found.search(self.pending)):
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                data = b""
            if not data:
                raise RuntimeError(f"no answer in {timeout} s to: {command}; so far: {self.pending[-500:]!r}")
            self.pending += data
        text = self.pending[: hit.start()].decode(errors="replace").strip()
        self.pending = self.pending[hit.end() :]
        if check and hit.group(1) != b"0":
            raise RuntimeError(f"exit {hit.group(1).decode()}: {command}: {text[-800:]}")
        return text


class Flight:
    """The simulated vehicle on this host."""

    def __init__(self, args, seed, autopilot):
        self.out = args.out / f"served-{autopilot}"
        self.began = time.monotonic()
        self.link, self.frames = args.port, args.port + 1
        self.process = subprocess.Popen(
            [args.alight, "sim", "--serve", f"127.0.0.1:{self.link}", "--serve-frames", f"127.0.0.1:{self.frames}", "--seed", str(seed),
             "--autopilot", autopilot, "--segmenter", "noisy", "--out", str(self.out)],
            stderr=open(args.out / "sim.log", "w"))

    def battery(self):
        """What is left of its charge: it begins with 0.9, and a full one would last 1500 s."""
        return 0.9 - (time.monotonic() - self.began) / 1500

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)


class Steps:
    """What is tried, and what came of it."""

    def __init__(self, path):
        self.path, self.done = path, []

    def __call__(self, name, work):
        begun = time.monotonic()
        try:
            found, ok = work(), True
        except Exception as e:  # noqa: BLE001: every failure of a step is its result
            found, ok = str(e), False
        took = round(time.monotonic() - begun, 1)
        self.done.append({"step": name, "ok": ok, "seconds": took, "found": found})
        print(f"{'ok  ' if ok else 'FAIL'} {took:6.1f} s  {name}: {str(found)[:300]}", flush=True)
        self.path.write_text(json.dumps({"passed": all(s["ok"] for s in self.done), "steps": self.done}, indent=1) + "\n")
        return ok


def until(what, seconds, holds, pause=0.5):
    """Waits until something holds; what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(pause)
    raise RuntimeError(f"{what}: not within {seconds} s")


def boot(args, cache, tree):
    """Starts the machine."""
    chardev = []
    (args.out / "shell.sock").unlink(missing_ok=True)
    chardev += ["-chardev", f"socket,id=shell,path={args.out}/shell.sock,server=on,wait=off"]
    chardev += ["-chardev", f"socket,id=camera,host=127.0.0.1,port={args.port + 1},reconnect=1"]
    chardev += ["-chardev", f"socket,id=autopilot,host=127.0.0.1,port={args.port},reconnect=1"]
    # A processor without AVX: emulated, the wide instructions make the network 1.7 times slower.
    return subprocess.Popen(
        ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "1500", "-display", "none",
         "-no-reboot", "-kernel", str(next((tree / "boot").glob("vmlinuz-*"))), "-initrd", str(cache / "initrd.img"),
         "-append", "console=ttyS0 root=/dev/vda rw quiet mitigations=off systemd.journald.forward_to_console=1",
         "-drive", f"file={cache}/disk.img,format=raw,if=virtio,cache=unsafe", "-serial", f"file:{args.out}/console.log",
         *chardev,
         "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=shell,name=shell",
         "-device", "virtserialport,chardev=camera,name=camera,id=camera0",
         "-device", "qemu-xhci,id=xhci", "-device", "usb-serial,chardev=autopilot,always-plugged=on,id=ftdi"],
        stderr=open(args.out / "qemu.log", "w"))


def status(shell):
    """The service's line for systemctl."""
    text = shell("systemctl show alight -p ActiveState -p SubState -p StatusText -p MainPID -p NRestarts")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def configure(shell, args, more="", **keys):
    # By its own name: unplugged while it is open, the adapter comes back as another ttyUSB.
    port = shell("ls /dev/serial/by-id/* | head -n 1", check=False) or "/dev/ttyUSB0"
    text = CONFIG.format(size=args.size, more=more, port=port, **keys)
    shell(f"cat > /etc/alight/alight.toml <<'END'\n{text}END")


def acceptance(args, steps, shell, flight):
    """Everything that is asked of the installed service, in order."""
    w, h = args.size
    f = w / (2 * 0.70020753820971)
    active = lambda: (s := status(shell)) and s["ActiveState"] == "active" and s
    journal = lambda: shell("journalctl --namespace=alight -o cat --no-pager | tail -n 400")

    steps("install", lambda: shell("dpkg -i /root/alight.deb", 300).splitlines()[-3:])
    steps("enabled, in advise mode, not started", lambda: (
        shell("systemctl is-enabled alight && grep '^mode' /etc/alight/alight.toml && ! systemctl is-active alight")))
    shell(f"cat > /etc/alight/camera.yaml <<'END'\n{CALIBRATION.format(w=w, h=h, f=f, cx=w / 2, cy=h / 2)}END")
    if args.quick:
        return landing(args, steps, shell, flight)
    steps("wrong settings are refused with the key, and not tried again", lambda: refused(shell))
    configure(shell, args, mode="advise", source="pipe")
    steps("doctor", lambda: doctor(shell))
    configure(shell, args, mode="advise", source="pipe", more=MODEL)
    begun = time.monotonic()
    shell("systemctl start alight", 120)
    steps("ready (seconds under emulation)", lambda: active() and round(time.monotonic() - begun, 1))
    steps("hears the autopilot over the serial port", lambda: until("autopilot", 60, lambda: "ArduPilot" in status(shell)["StatusText"] and status(shell)["StatusText"]))
    steps("decides on pictures", lambda: until("decisions", 300, lambda: (m := re.search(r"sites in (\d+) decisions", status(shell)["StatusText"])) and int(m.group(1)) > 3 and m.group(0)))
    steps("the sandbox", lambda: shell("systemd-analyze security alight --no-pager | tail -n 1"))

    def hung():
        before = status(shell)
        shell(f"kill -STOP {before['MainPID']}")
        after = until("restart", 120, lambda: (s := active()) and s["MainPID"] != before["MainPID"] and s)
        return f"restarted by the watchdog: restarts {after['NRestarts']}"

    steps("a process that hangs", hung)

    def unplugged():
        # To the system this is what pulling the cable is; qemu's own device_del crashes it while bytes flow.
        adapter = shell("for d in /sys/bus/usb/devices/*; do grep -qs 0403 $d/idVendor && echo $d; done | head -n 1")
        before = status(shell)
        shell(f"echo 0 > {adapter}/authorized")
        until("loss", 60, lambda: "No such" in shell("ls /dev/serial/by-id", check=False))
        until("word of it", 60, lambda: re.search(r"serial:.*again", journal()))
        silent = until("silence", 60, lambda: re.search(r"ArduPilot silent for \d+ s", status(shell)["StatusText"]))
        shell(f"echo 1 > {adapter}/authorized")
        until("autopilot again", 120, lambda: re.search(r"ArduPilot \w+ (dis)?armed", status(shell)["StatusText"]))
        return f"{silent.group(0)}; came back; the same process: {before['MainPID'] == status(shell)['MainPID']}"

    steps("the serial cable is pulled and put back", unplugged)

    def no_camera():
        count = lambda: int(re.search(r"sites in (\d+) decisions", status(shell)["StatusText"]).group(1))
        shell("kill $(pidof cat)")
        until("word of it", 60, lambda: re.search(r"camera: cat: the command", journal()))
        before = count()
        return until("pictures again", 300, lambda: count() > before + 3 and f"decisions go on after {before}")

    steps("the camera is killed", no_camera)

    def full():
        shell("fallocate -l $(( $(df --output=avail -B1 / | tail -n 1) - 4096 )) /fill 2>/dev/null || dd if=/dev/zero of=/fill bs=1M 2>/dev/null; true", 300)
        until("word of it", 120, lambda: re.search(r"cannot write|No space", journal()))
        count = re.search(r"sites in (\d+) decisions", status(shell)["StatusText"]).group(1)
        until("decisions go on", 120, lambda: re.search(r"sites in (\d+) decisions", status(shell)["StatusText"]).group(1) != count)
        shell("rm /fill")
        return "the flight goes on, the record ends with its reason"

    steps("a full disk", full)
    shell("systemctl stop alight", 60)
    landing(args, steps, shell, flight)

    def vivid():
        shell("modprobe vivid && sleep 3 && ls /dev/video0", 60)
        text = CONFIG.format(size=(640, 360), mode="advise", source="v4l", more=MODEL, port="/dev/ttyUSB0").replace("calibration = \"camera.yaml\"", "hfov_deg = 70.0")
        shell(f"cat > /tmp/v4l.toml <<'END'\n{text}END")
        text = shell("alight doctor --config /tmp/v4l.toml --listen 2 | grep -a camera", 120, check=False)
        if not re.search(r"ok +camera +640 x 360", text):
            raise RuntimeError(text)
        return text

    steps("a V4L2 camera (vivid)", vivid)
    steps("an upgrade keeps the settings", lambda: shell("dpkg -i /root/alight.deb >/dev/null && grep -c 'serial:/dev/serial' /etc/alight/alight.toml", 300))
    (args.out / "journal.txt").write_text(shell("journalctl --namespace='*' --no-pager | tail -n 3000", 120, check=False))
    steps("purge cleans up", lambda: shell("dpkg -P alight >/dev/null 2>&1; left=$(ls -d /etc/alight /var/lib/alight /usr/bin/alight /etc/systemd/journald@alight.conf 2>/dev/null); echo $left; [ -z \"$left\" ]", 120) or "nothing left")


def landing(args, steps, shell, flight):
    """The installed service in command mode, from a low battery to the ground."""
    # It starts when it sees the charge fall below: a minute from now.
    more = LANDING.format(below=round(flight.battery() - 0.04, 3))
    configure(shell, args, mode="command", source="pipe", more=more)
    shell("systemctl restart alight", 120)
    said = lambda: [line for line in shell("journalctl --namespace=alight -o cat --no-pager | grep 'to the ground' | tail -n 40", check=False).splitlines()]

    def land():
        flown = lambda: [json.loads(line) for line in (flight.out / "flown.jsonl").read_text().splitlines()]
        told = []

        def down():
            text = status(shell)["StatusText"]
            if not told or told[-1] != text:
                told.append(text)
                if args.verbose:
                    print(f"       {text}", flush=True)
            return (f := flown()) and not f[-1]["armed"] and f[-1]

        try:
            last = until("on the ground, motors off", 600, down, pause=5)
        except RuntimeError as e:
            raise RuntimeError(f"{e}; {flown()[-1]}; {told[-6:]}; {said()[-12:]}") from e
        finally:
            (args.out / "landing.txt").write_text("\n".join(told) + "\n")
        if not last["landed"] or last["surface"] not in ("firm", "soft"):
            raise RuntimeError(f"{last}")
        return {"flown": flown(), "said": said()}

    steps("the installed service lands the vehicle", land)
    shell("systemctl stop alight", 60)


def refused(shell):
    shell("printf 'mode = \"comand\"\\n' > /etc/alight/alight.toml; systemctl start alight; sleep 4; true")
    state = status(shell)
    text = shell("journalctl --namespace=alight -o cat --no-pager | tail -n 20")
    if state["NRestarts"] != "0" or "did you mean `command`" not in text:
        raise RuntimeError(f"{state} {text}")
    shell("systemctl reset-failed alight")
    return text.splitlines()[-1]


def doctor(shell):
    text = shell("alight doctor --config /etc/alight/alight.toml --listen 20", 420, check=False)
    if not re.search(r"ok +autopilot +ArduPilot 4", text) or not re.search(r"ok +camera", text):
        raise RuntimeError(text)
    return text.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deb", required=True, help="the amd64 package")
    parser.add_argument("--alight", required=True, help="the program on this host, for the simulated vehicle")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--cache", type=pathlib.Path, help="kernel and root file system (default OUT/cache)")
    parser.add_argument("--port", type=int, default=15762, help="first of two free TCP ports")
    parser.add_argument("--verbose", action="store_true", help="print the service's status during the landing")
    parser.add_argument("--quick", action="store_true", help="install and land, nothing else")
    parser.add_argument("--seed", type=int, default=24)
    args = parser.parse_args()
    # As wide for its height as what the small network takes.
    args.size = (384, 192)
    args.deb = sorted(glob.glob(args.deb))[-1]
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    cache = (args.cache or args.out / "cache").resolve()
    cache.mkdir(parents=True, exist_ok=True)

    begun = time.monotonic()
    tree = kernel(cache)
    tar = root(cache)
    initrd(cache, tree)
    disk(args, cache, tree, tar)
    print(f"disk made after {time.monotonic() - begun:.0f} s", flush=True)
    flight = Flight(args, args.seed, "ardupilot")
    machine = boot(args, cache, tree)
    steps = Steps(args.out / "vm.json")
    try:
        shell = Shell(args.out / "shell.sock", time.monotonic() + 60)
        steps("a shell in the machine", lambda: shell("uname -r", 300))
        steps("boot", lambda: until("multi-user.target", 300, lambda: (
            shell("systemctl is-active multi-user.target", check=False) == "active" and [shell("systemctl --failed --no-legend"), shell("cat /proc/uptime")])))
        acceptance(args, steps, shell, flight)
    finally:
        machine.kill()
        machine.wait()
        flight.end()
    print(f"{sum(s['ok'] for s in steps.done)} of {len(steps.done)} steps, {time.monotonic() - begun:.0f} s")
    return 0 if all(s["ok"] for s in steps.done) else 1


if __name__ == "__main__":
    sys.exit(main())
