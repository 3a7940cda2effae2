#!/usr/bin/env python3
"""The container image without a container engine: its files as a read-only root in namespaces of their own.

    image.py ROOTFS

As a pod runs it: user 65532, one capability in the bounding set, nothing writable but the state folder. On a pod's own
network with privileges fixed and a sysctl, on a node's with the capability of the file; under the seccomp profile of
deploy/, under a filter without io_uring, and without any.
"""

import ctypes
import http.client
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

import seccomp
from root import enter
from supervisor import wait_for

USER, CAP_NET_BIND_SERVICE, PR_CAPBSET_DROP = 65532, 10, 24
PROFILE = os.path.join(os.path.dirname(__file__), "../../deploy/seccomp/ringress.json")
DOCKERFILE = os.path.join(os.path.dirname(__file__), "../container/Dockerfile")
SIZE_MAX_MIB = 30
GLIBC_MAX = (2, 34)
MANIFEST = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site}
spec:
  ingressClassName: nginx
  rules: [{host: site.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: none, port: {number: 80}}}}]}}]
"""


def check_size(root):
    size = sum(os.lstat(os.path.join(f, name)).st_size for f, _, files in os.walk(root) for name in files)
    assert size < SIZE_MAX_MIB << 20, size
    print(f"  {size / (1 << 20):.1f} MiB, less than {SIZE_MAX_MIB}")


def check_symbols(root):
    symbols = subprocess.run(["objdump", "-T", f"{root}/usr/bin/ringress"], check=True, text=True, capture_output=True)
    versions = {tuple(map(int, word.strip("()")[6:].split("."))) for word in symbols.stdout.split() if "GLIBC_2" in word}
    assert max(versions) <= GLIBC_MAX, f"needs glibc {max(versions)}"
    print(f"  the newest symbol is of glibc {'.'.join(map(str, max(versions)))}")


def check_dockerfile(image):
    """The Dockerfile says of the image what the image built without an engine says of itself."""
    stages = re.split(r"^FROM ", open(DOCKERFILE, encoding="utf-8").read(), flags=re.MULTILINE)
    build, last = stages[-2], stages[-1]
    assert "packaging/container/rootfs target/release/ringress /rootfs" in build and last.startswith("scratch\n"), last
    said = dict(line.split(" ", 1) for line in last.splitlines()[1:])
    assert said.pop("COPY") == "--from=build /rootfs /"
    with tarfile.open(image) as tar:
        read = lambda name: json.load(tar.extractfile(name))
        blob = lambda entry: read("blobs/" + entry["digest"].replace(":", "/"))
        config = blob(blob(read("index.json")["manifests"][0])["config"])["config"]
    assert said.pop("USER") == config["User"]
    assert json.loads(said.pop("ENTRYPOINT")) == config["Entrypoint"] and json.loads(said.pop("CMD")) == config["Cmd"]
    assert {f"{port}/tcp" for port in said.pop("EXPOSE").split()} == set(config["ExposedPorts"])
    assert not said, f"not in the image without an engine: {said}"
    print("  the Dockerfile makes the same image")


def get(port, path, host="127.0.0.1"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def serve(root, name, driver, own_network, filter_=None):
    """Starts the image's entry point, asks ports 80 and 443's health, and looks at what it may do."""
    libc = ctypes.CDLL(None, use_errno=True)
    start = "0" if own_network else "1024"
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w", encoding="ascii") as sysctl:
        sysctl.write(start)

    def prepare():
        os.chroot(root)
        os.chdir("/")
        for capability in range(64):
            if capability != CAP_NET_BIND_SERVICE:
                libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        if filter_ and not own_network:
            # A runtime that may not fix privileges loads the filter while it is still root.
            filter_()
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        if own_network:
            libc.prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if filter_:
                filter_()

    command = ["/usr/bin/ringress", "run", "--source=dir:/manifests", "--state-dir=/var/lib/ringress"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env={}, preexec_fn=prepare, stdout=log, stderr=log)
        try:
            wait_for("ready", lambda: process.poll() is not None or get(10254, "/readyz")[0] == 200)
            log.seek(0)
            assert process.poll() is None, log.read()
            # No endpoints: 503, and not 404.
            assert get(80, "/", "site.example.com")[0] == 503
            status = json.loads(get(10280, "/api/status")[1])
            assert status["driver"] == driver, f"{status['driver']} instead of {driver}"
            may = dict(line.split(":", 1) for line in open(f"/proc/{process.pid}/status", encoding="utf-8"))
            assert set(may["Uid"].split()) == {str(USER)}
            assert int(may["CapEff"], 16) in (0, 1 << CAP_NET_BIND_SERVICE) and int(may["CapBnd"], 16) == 1 << 10
            assert (int(may["CapEff"], 16) == 0) == own_network
            print(f"  {name}: serves on port 80 by {status['driver']}")
        finally:
            process.terminate()
            process.wait(60)


def main():
    enter()
    rootfs = os.path.abspath(sys.argv[1])
    check_size(rootfs)
    check_symbols(rootfs)
    check_dockerfile(f"{rootfs}/../ringress.tar")
    # The upper layer is for mount points only; what the program sees cannot be written to.
    base = tempfile.mkdtemp()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
    for folder in ("upper", "work", "root", "manifests"):
        os.mkdir(f"{base}/{folder}")
    for folder in ("proc", "dev", "manifests"):
        os.mkdir(f"{base}/upper/{folder}")
    root = f"{base}/root"
    options = f"ro,lowerdir={base}/upper:{rootfs}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", root], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
    subprocess.run(["mount", "--bind", "/dev", f"{root}/dev"], check=True)
    subprocess.run(["mount", "--bind", f"{base}/manifests", f"{root}/manifests"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,uid={USER},gid={USER}", "tmpfs", f"{root}/var/lib/ringress"], check=True)
    with open(f"{base}/manifests/site.yaml", "w", encoding="utf-8") as file:
        file.write(MANIFEST)

    serve(root, "a pod's network, privileges fixed", "io_uring", True)
    serve(root, "a node's network, the file's capability", "io_uring", False)
    serve(root, "under deploy/seccomp/ringress.json", "io_uring", True, seccomp.profile(PROFILE))
    serve(root, "the same on a node's network", "io_uring", False, seccomp.profile(PROFILE, fix_privileges=False))
    serve(root, "under a filter without io_uring", "epoll", True, seccomp.without_io_uring())
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
