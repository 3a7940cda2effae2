"""A root of its own: an overlay on the machine's (or on a folder with another system), in namespaces of its own.

Everything that a test changes is in the upper layer, so it is seen there and gone with the namespace.
"""

import os
import subprocess
import sys

INSIDE = "RINGRESS_TEST_INSIDE"


def enter():
    """Runs this program again in mount, network and process namespaces of its own; returns inside."""
    if os.geteuid() != 0:
        sys.exit("needs root: it mounts, changes users and installs packages, all in a root of its own")
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
    sys.exit(subprocess.run([*command, *sys.argv], env={**os.environ, INSIDE: "1"}, check=False).returncode)


class Root:
    """An overlay on `lower`, at `path`."""

    def __init__(self, lower, base="/tmp/ringress-root"):
        os.makedirs(base, exist_ok=True)
        self.run_host("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", base)
        self.lower, self.path, self.upper = lower, f"{base}/root", f"{base}/upper"
        for folder in (self.path, self.upper, f"{base}/work"):
            os.mkdir(folder)
        options = f"lowerdir={lower},upperdir={self.upper},workdir={base}/work"
        self.run_host("mount", "-t", "overlay", "-o", options, "overlay", self.path)
        self.run_host("mount", "-t", "proc", "proc", f"{self.path}/proc")
        for folder in ("run", "tmp"):
            self.run_host("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{self.path}/{folder}")
        self.run_host("mount", "--bind", "/dev", f"{self.path}/dev")
        # No service of the machine may be started in here, nor its package lists be asked.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)

    @staticmethod
    def run_host(*command):
        subprocess.run(command, check=True)

    def run(self, *command, check=True):
        """Runs a program in the root; its output."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        result = subprocess.run(
            ["chroot", self.path, *command], env=environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}")
        return result.stdout

    def write(self, path, text, mode=0o644):
        """Writes a file in the root, as a whole."""
        new = f"{self.path}{path}.new"
        os.makedirs(os.path.dirname(new), exist_ok=True)
        with open(new, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(new, mode)
        os.rename(new, f"{self.path}{path}")

    def exists(self, path):
        """Whether a path is there."""
        return os.path.lexists(f"{self.path}{path}")

    def files(self):
        """Every path of the upper layer that is there (and no mark of a removed one)."""
        found = set()
        for folder, folders, files in os.walk(self.upper):
            for name in folders + files:
                path = os.path.join(folder, name)
                # Overlayfs marks what was removed by a device 0:0.
                if not (os.path.exists(path) and os.stat(path).st_rdev == 0 and _is_mark(path)):
                    found.add(path.removeprefix(self.upper))
        return found


def _is_mark(path):
    import stat
    return stat.S_ISCHR(os.lstat(path).st_mode)
