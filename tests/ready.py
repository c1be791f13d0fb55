#!/usr/bin/env python3
"""How long the service takes from its start to systemd's READY=1, five times, with a camera of 1280x720.

    tests/ready.py target/release/alight

Stands in for systemd at the other end of NOTIFY_SOCKET; the camera is a pipe of black pictures, the autopilot is not there.
Needs Python 3 alone.
"""
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SETTINGS = """\
mode = "advise"
link = "udpin:127.0.0.1:14777"
[camera]
source = "pipe"
format = "yuyv"
command = ["sh", "-c", "while true; do head -c 1843200 /dev/zero; sleep 0.03; done"]
width_px = 1280
height_px = 720
hfov_deg = 70.0
rate_hz = 30.0
[record]
folder = "{folder}/flights"
"""


def start(program, folder):
    """Seconds from the start to ready."""
    path = folder / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(30)
        begun = time.monotonic()
        process = subprocess.Popen(
            [program, "run", "--config", folder / "alight.toml"], env={**os.environ, "NOTIFY_SOCKET": str(path)}, stderr=subprocess.DEVNULL)
        try:
            while b"READY=1" not in notify.recv(4096):
                pass
            return time.monotonic() - begun
        finally:
            process.terminate()
            process.wait()


def main():
    """Starts it five times."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "alight.toml").write_text(SETTINGS.format(folder=folder))
        took = [start(sys.argv[1], folder) for _ in range(5)]
    print(f"ready after {statistics.median(took):.2f} s (median; {min(took):.2f} to {max(took):.2f})")


if __name__ == "__main__":
    main()
