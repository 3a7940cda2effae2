#!/usr/bin/env python3
"""Packages for arm64 on a machine of another kind: what they say of themselves, and the binary under qemu-user.

    arm64.py FOLDER

FOLDER has deb, rpm and image as `make deb rpm image ARCH=arm64` leaves them. qemu-user has no io_uring, so that epoll is
what serves; how fast says nothing.
"""

import glob
import http.server
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

from deb import MANIFEST, Origin
from image import get
from supervisor import wait_for

GLIBC_MAX = (2, 34)


def output(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def is_arm64(binary):
    assert "AArch64" in output("readelf", "-h", binary), binary
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_(2[.0-9]*)", output("readelf", "-V", binary))}
    assert max(versions) <= GLIBC_MAX, f"needs glibc {max(versions)}"
    return ".".join(map(str, max(versions)))


def fields(folder, root):
    [deb], [rpm] = glob.glob(f"{folder}/deb/*.deb"), glob.glob(f"{folder}/rpm/*.rpm")
    assert output("dpkg-deb", "-f", deb, "Architecture").strip() == "arm64"
    depends = output("dpkg-deb", "-f", deb, "Depends")
    assert "libc6 (>=" in depends and "cross" not in depends, depends
    output("dpkg-deb", "-x", deb, root)
    assert output("rpm", "-qp", "--qf", "%{ARCH}", rpm) == "aarch64"
    packed = f"{root}-rpm"
    os.mkdir(packed)
    subprocess.run(f"rpm2cpio {rpm} | cpio -id --quiet", shell=True, check=True, cwd=packed)
    for binary in (f"{root}/usr/bin/ringress", f"{packed}/usr/bin/ringress", f"{folder}/image/rootfs/usr/bin/ringress"):
        newest = is_arm64(binary)
    print(f"  deb, rpm and image are for arm64; the newest symbol is of glibc {newest}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def serves(binary, libraries, scratch):
    """One request through the binary to an origin of this test."""
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    manifests = f"{scratch}/manifests"
    os.mkdir(manifests)
    with open(f"{manifests}/site.yaml", "w") as file:
        file.write(MANIFEST.format(host="site.example.com", port=origin.server_port))
    emulated = ["qemu-aarch64-static", "-L", libraries, binary]
    print("  " + output(*emulated, "version").strip().splitlines()[0])
    port = free_port()
    command = [*emulated, "run", f"--source=dir:{manifests}", "--listen-address=127.0.0.1", f"--http-port={port}", "--https-port=0",
               "--healthz-port=0", "--admin-address=127.0.0.1:0", "--workers=1", f"--state-dir={scratch}/state",
               f"--control-socket={scratch}/control.sock"]
    with open(f"{scratch}/log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    said = lambda pattern: re.search(pattern, open(f"{scratch}/log").read())
    try:
        wait_for("a request is served", lambda: get(port, "/", "site.example.com") == (200, b"from the origin\n"), 60)
        assert said(r'"driver":"epoll"'), open(f"{scratch}/log").read()
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
    print("  under qemu-user a request is served, by epoll, and the end is in order")


def main(folder):
    with tempfile.TemporaryDirectory() as scratch:
        root = f"{scratch}/root"
        fields(folder, root)
        serves(f"{root}/usr/bin/ringress", f"{folder}/image/rootfs", scratch)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
