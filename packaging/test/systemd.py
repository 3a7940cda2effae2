#!/usr/bin/env python3
"""The shipped unit under systemd itself: the life of the deb with a manager that starts, watches, reloads and stops it.

    systemd.py --deb OLD.deb --next NEW.deb [--root FOLDER]

systemd runs as the first process of namespaces of its own, in a control group of its own, with nothing but the journal and
what the deb brings. Where it cannot be started this test is skipped, and says what stopped it.
"""

import argparse
import glob
import http.client
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import time

from deb import MANIFEST, Origin, Quiet, get, step
from root import Root, enter
from supervisor import wait_for

HOST = "site.example.com"
SITE = "/etc/ringress/manifests/site.yaml"
OPTIONS = "/etc/ringress/ringress.yaml"
SOCKETS = ("ringress-http.socket", "ringress-https.socket")
# What would reach beyond the namespaces: modules, the clock, devices.
DROPPED = "-sys_module,-sys_time,-mknod,-sys_rawio,-syslog"


class Skipped(Exception):
    """Why systemd cannot be started here."""


class Booted:
    """A root with systemd running in it."""

    def __init__(self, lower):
        self.root = Root(lower)
        self.group = None
        self.process = None
        if not self.root.exists("/lib/systemd/systemd"):
            raise Skipped("there is no systemd in the root")
        for program in ("nsenter", "setpriv", "pivot_root"):
            if not shutil.which(program):
                raise Skipped(f"no {program} on this machine")
        os.unlink(f"{self.root.path}/usr/sbin/policy-rc.d")
        self._only_the_journal()
        self._group()
        self._boot()

    def _only_the_journal(self):
        """Nothing else of the root is started, mounted or generated."""
        for folder in ("etc", "lib"):
            for link in glob.glob(f"{self.root.path}/{folder}/systemd/system/*.[wr]*/*"):
                if "journald" not in link and os.path.islink(link):
                    os.unlink(link)
        for generator in glob.glob(f"{self.root.path}/lib/systemd/system-generators/*"):
            os.unlink(generator)

    def _group(self):
        groups = "/tmp/ringress-groups"
        os.makedirs(groups, exist_ok=True)
        mounted = subprocess.run(["mount", "-t", "cgroup2", "cgroup2", groups], text=True, capture_output=True, check=False)
        if mounted.returncode != 0:
            raise Skipped(f"no control groups of version 2: {mounted.stderr.strip()}")
        self.group = f"{groups}/ringress-test-{os.getpid()}-{time.monotonic_ns()}"
        try:
            os.mkdir(self.group)
            open(f"{self.group}/cgroup.procs", "a").close()
        except OSError as error:
            raise Skipped(f"no control group of its own: {error}") from error

    def _boot(self):
        root = self.root.path
        script = f"""
            set -e
            echo $$ >{self.group}/cgroup.procs
            exec unshare --mount --pid --ipc --uts --cgroup --fork --kill-child sh -ec '
                mount -t proc proc {root}/proc
                mount --bind {root}/proc/sys {root}/proc/sys
                mount -o remount,bind,ro {root}/proc/sys
                mount -t sysfs -o ro sysfs {root}/sys
                mount -t cgroup2 cgroup2 {root}/sys/fs/cgroup
                mount -t tmpfs -o mode=755 tmpfs {root}/run
                mkdir -p {root}/mnt
                cd {root}
                pivot_root . mnt
                umount -l /mnt
                exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
                    setpriv --bounding-set={DROPPED} --inh-caps={DROPPED} \\
                    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal
            '"""
        self.log = open("/tmp/ringress-systemd.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        try:
            self.pid = wait_for("the manager", self._manager, 10)
            wait_for("the manager answers", lambda: self.run("systemctl", "is-system-running", check=False).strip()
                     in ("running", "degraded"), 20)
        except AssertionError as error:
            self.log.seek(0)
            raise Skipped(f"systemd does not start: {error}; {self.log.read()[-2000:]}") from error

    def _manager(self):
        """The number, out here, of the process that is the first one in there."""
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}")
        for child in _children(self.process.pid):
            with open(f"/proc/{child}/comm", encoding="utf-8") as name:
                if name.read().strip() == "systemd":
                    return child
        return None

    def run(self, *command, check=True):
        """Runs a program beside systemd; its output."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        result = subprocess.run(
            ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd", *command],
            env=environment, text=True, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=120,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}\n{self.journal()}")
        return result.stdout

    def show(self, name, unit="ringress.service"):
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def main_pid(self):
        return int(self.show("MainPID"))

    def status(self, pid):
        text = self.run("cat", f"/proc/{pid}/status")
        return dict(line.split(":", 1) for line in text.splitlines())

    def journal(self):
        return self.run("journalctl", "--no-pager", "-n", "60", "-o", "cat", "-u", "ringress", check=False)

    def install(self, deb, *options):
        shutil.copy(deb, f"/proc/{self.pid}/root/root/")
        return self.run("apt-get", "install", "-y", "--no-install-recommends", *options, f"/root/{os.path.basename(deb)}")

    def write(self, path, text, mode=0o640):
        self.root.write(path, text, mode)
        self.run("chgrp", "ringress", path)

    def end(self):
        if self.process:
            for child in _children(self.process.pid):
                os.kill(child, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        if self.group and os.path.isdir(self.group):
            if os.path.exists(f"{self.group}/cgroup.kill"):
                with open(f"{self.group}/cgroup.kill", "w", encoding="ascii") as kill:
                    kill.write("1")
            wait_for("the group is empty", lambda: "populated 0" in open(f"{self.group}/cgroup.events").read())
            for folder, _, _ in os.walk(self.group, topdown=False):
                os.rmdir(folder)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


class Load:
    """wrk on port 80 until it is told to end; whatever did not succeed is an error."""

    def __enter__(self):
        command = ["wrk", "-t1", "-c16", "-d600s", "-H", f"Host: {HOST}", "http://127.0.0.1/"]
        self.wrk = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, failed, *_):
        self.wrk.send_signal(signal.SIGINT)
        report = self.wrk.communicate(timeout=60)[0]
        if not failed:
            assert "Requests/sec" in report and "Socket errors" not in report and "Non-2xx" not in report, report


def api_status():
    connection = http.client.HTTPConnection("127.0.0.1", 10280, timeout=5)
    connection.request("GET", "/api/status")
    return json.loads(connection.getresponse().read())


def starts(host, deb, port):
    host.install(deb)
    wait_for("the service is active", lambda: host.show("ActiveState") == "active")
    assert host.run("systemctl", "is-enabled", "ringress").strip() == "enabled"
    assert get(HOST) == 404
    host.write(SITE, MANIFEST.format(host=HOST, port=port))
    begin = time.monotonic()
    wait_for("the manifest is served", lambda: get(HOST) == 200, 1.0)
    assert get(HOST, tls=True) == 200
    step(f"`apt install` starts it; a manifest serves on 80 and 443 after {(time.monotonic() - begin) * 1000:.0f} ms")


def confined(host):
    """What the unit takes away is taken away, and io_uring is not."""
    pid = host.main_pid()
    may = host.status(pid)
    # CAP_NET_BIND_SERVICE is bit 10; 2 is a filter of system calls.
    assert int(may["CapEff"], 16) == int(may["CapBnd"], 16) == 1 << 10, may["CapEff"]
    assert may["NoNewPrivs"].strip() == "1" and may["Seccomp"].strip() == "2"
    assert host.run("id", "-u", "ringress").strip() in may["Uid"].split()
    limits = host.run("cat", f"/proc/{pid}/limits")
    # As far as this machine lets it be raised.
    expected = min(1048576, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert f" {expected} " in next(line for line in limits.splitlines() if line.startswith("Max open files")), limits
    mounts = host.run("cat", f"/proc/{pid}/mounts").splitlines()
    assert next(line for line in reversed(mounts) if line.split()[1] == "/").split()[3].startswith("ro")
    assert api_status()["driver"] == "io_uring", "the filter leaves io_uring"
    assert "io_uring is not available" not in host.journal()
    step("one capability, a filter of system calls, / cannot be written; io_uring is used all the same")


def survives(host):
    # /run is a file system of systemd's own, so it is written in there.
    fast = "/run/systemd/system/ringress.service.d"
    host.run("sh", "-c", f"mkdir -p {fast} && printf '[Service]\\nWatchdogSec=2s\\n' >{fast}/fast.conf")
    host.run("systemctl", "daemon-reload")
    first = host.main_pid()
    host.run("kill", "-KILL", str(first))
    begin = time.monotonic()
    wait_for("restarted after a crash", lambda: host.main_pid() not in (0, first) and get(HOST) == 200, 5)
    took = time.monotonic() - begin
    assert took < 1.0, f"{took:.1f} s from the crash to the next answer"
    step(f"after a crash it serves again within {took * 1000:.0f} ms")
    second = host.main_pid()
    wait_for("ready", lambda: host.show("ActiveState") == "active")
    host.run("kill", "-STOP", str(second))
    wait_for("restarted after a hang", lambda: host.main_pid() not in (0, second) and get(HOST) == 200, 15)
    # Aborted with a core or without one, as the machine is set up.
    assert "watchdog" in host.run("journalctl", "--no-pager", "-b", "-o", "cat", "_PID=1").lower()
    step("a process that hangs is ended by the watchdog and replaced")
    # It is fed: nothing happens for longer than the watchdog waits.
    third, end = host.main_pid(), time.monotonic() + 3
    wait_for("the watchdog has been fed", lambda: time.monotonic() > end)
    assert host.main_pid() == third and host.show("NRestarts") == "2", host.show("NRestarts")


def reloads(host):
    text = host.run("cat", OPTIONS)
    kept = text + "drain-timeout: 5s\n"
    host.write(OPTIONS, kept, 0o644)
    first = host.main_pid()
    with Load():
        host.run("systemctl", "reload", "ringress")
        wait_for("the new process is the main one", lambda: host.main_pid() != first)
        wait_for("the old one has ended", lambda: not host.run("ps", "-o", "comm=", "-p", str(first), check=False).strip())
        assert get(HOST) == 200
    assert host.show("ActiveState") == "active"
    step("systemctl reload under wrk: another main process, no failed request")
    second = host.main_pid()
    host.write(OPTIONS, kept + "no-such-option: 1\n", 0o644)
    said = host.run("systemctl", "reload", "ringress", check=False)
    assert "failed" in said.lower(), said
    assert host.main_pid() == second and host.show("ActiveState") == "active" and get(HOST) == 200
    assert "no-such-option" in host.journal()
    step("a reload with a broken ringress.yaml fails, the journal says why, the process goes on")
    return kept


def upgrades(host, deb, kept):
    """With the broken ringress.yaml still there first, then with the good one."""
    first = host.main_pid()
    with Load():
        said = host.install(deb)
        assert "the old version goes on serving" in said, said
        assert host.main_pid() == first and get(HOST) == 200
        host.write(OPTIONS, kept, 0o644)
        host.install(deb, "--reinstall")
        wait_for("the new process is the main one", lambda: host.main_pid() != first)
        wait_for("the old one has ended", lambda: not host.run("ps", "-o", "comm=", "-p", str(first), check=False).strip())
        assert get(HOST) == 200
    assert host.run("readlink", f"/proc/{host.main_pid()}/exe").strip() == "/usr/bin/ringress", "the old program runs"
    assert host.run("cat", OPTIONS) == kept, "an edited conffile is kept"
    step("`apt install` of the next version under wrk: with a broken ringress.yaml the old one goes on and apt says so, "
         "then the new one takes over; no failed request")


def passes_sockets(host):
    """The example socket units: clients wait while the service restarts."""
    host.run("sh", "-c", "cp /usr/share/doc/ringress/examples/ringress-*.socket /etc/systemd/system/ && systemctl daemon-reload")
    host.run("systemctl", "stop", "ringress")
    host.run("systemctl", "enable", "--now", *SOCKETS)
    host.run("systemctl", "start", "ringress")
    wait_for("served through the passed socket", lambda: get(HOST) == 200 and get(HOST, tls=True) == 200, 5)
    assert "LISTEN_FDS" in host.run("sh", "-c", f"tr '\\0' '\\n' </proc/{host.main_pid()}/environ")
    outcomes, end = [], threading.Event()

    def ask():
        while not end.is_set():
            outcomes.append(get(HOST))

    asking = threading.Thread(target=ask)
    asking.start()
    first = host.main_pid()
    host.run("systemctl", "restart", "ringress")
    assert host.main_pid() != first
    seen = len(outcomes)
    wait_for("asked after the restart", lambda: len(outcomes) > seen + 20)
    end.set()
    asking.join()
    assert set(outcomes) == {200}, {status: outcomes.count(status) for status in set(outcomes)}
    second = host.main_pid()
    host.run("systemctl", "reload", "ringress")
    wait_for("another process on the same sockets", lambda: host.main_pid() != second and get(HOST) == 200)
    step("with the socket units no client is refused while the service restarts, and it reloads")
    host.run("systemctl", "disable", "--now", *SOCKETS)
    host.run("sh", "-c", "rm /etc/systemd/system/ringress-*.socket && systemctl daemon-reload")
    host.run("systemctl", "restart", "ringress")
    wait_for("served by its own sockets again", lambda: get(HOST) == 200, 5)


def leaves_nothing(host, before):
    main = host.main_pid()
    host.run("systemctl", "stop", "ringress")
    assert host.show("Result") == "success" and host.show("ActiveState") == "inactive"
    assert not host.run("ps", "-o", "comm=", "-p", str(main), check=False).strip()
    host.run("systemctl", "start", "ringress")
    step("it stops in order and starts again")
    host.run("dpkg", "--remove", "ringress")
    assert get(HOST) == 0, "it still serves"
    host.run("dpkg", "--purge", "ringress")
    host.run("rm", "-rf", "/run/systemd/system/ringress.service.d")
    assert "ringress" not in host.run("systemctl", "list-unit-files")
    loaded = host.run("systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "ringress*")
    assert not loaded.strip(), loaded
    for name in ("passwd", "group", "shadow", "gshadow"):
        assert "ringress" not in host.run("cat", f"/etc/{name}"), name
    left = {path for path in host.root.files() - before if "ringress" in path and not path.startswith("/root/")}
    left |= set(host.run("sh", "-c", "find /run /tmp /var/tmp -name '*ringress*'").split())
    assert not left, f"left after the purge: {sorted(left)}"
    step("removed and purged while systemd runs: no process, unit, link, user, folder is left")


def arguments_of(description, package):
    parser = argparse.ArgumentParser(description=description)
    for name in (package, "--next"):
        parser.add_argument(name, required=True)
    parser.add_argument("--root", default="/")
    return parser.parse_args()


def live(root, story):
    """Tells a story, which gets a host that has booted and the port of an origin, and says how it ended."""
    enter()
    host = Booted.__new__(Booted)
    try:
        host.__init__(root)
        step(host.run("systemctl", "--version").splitlines()[0] + " runs as the first process of a root of its own")
        origin = Quiet(("127.0.0.1", 0), Origin)
        threading.Thread(target=origin.serve_forever, daemon=True).start()
        story(host, origin.server_port)
        print("1 passed, 0 failed")
    except Skipped as reason:
        print(f"SKIPPED: {reason}\n0 passed, 0 failed, 1 skipped")
    finally:
        host.end()


def main():
    arguments = arguments_of(__doc__, "--deb")

    def life(host, port):
        before = host.root.files()
        starts(host, arguments.deb, port)
        confined(host)
        survives(host)
        upgrades(host, arguments.next, reloads(host))
        passes_sockets(host)
        leaves_nothing(host, before)

    live(arguments.root, life)


if __name__ == "__main__":
    main()
