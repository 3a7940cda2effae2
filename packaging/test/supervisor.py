"""A stand-in for systemd: it reads the shipped unit, starts its service in a root folder and speaks the same protocols.

Where systemd itself can be started systemd.py does so; this runs everywhere. What is carried out here: User, Group, ambient and bounding
capabilities, NoNewPrivileges, UMask, the State, Runtime and Logs directories, LimitNOFILE, Type=notify with
NotifyAccess=all, MAINPID, WatchdogSec, ExecReload, Restart=on-failure with RestartSec, and a system call filter given by the test. The rest of the hardening is read by `systemd-analyze`, not enforced.
"""

import array
import configparser
import os
import pwd
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

SECONDS = {"ms": 0.001, "s": 1, "min": 60}


def seconds(text):
    """`200ms`, `10s`, `5min` of a unit file."""
    for unit in ("ms", "min", "s"):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * SECONDS[unit]
    return float(text)


def read_unit(path):
    """The [Service] section; of a repeated key the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#", ";"))
    parser.optionxform = str
    parser.read(path)
    return dict(parser["Service"])


def wait_for(what, condition, bound=20.0):
    """Polls `condition` until it answers something; its answer."""
    end = time.monotonic() + bound
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"not within {bound} s: {what}")


class Supervisor:
    """One service, started from its unit in `root`."""

    def __init__(self, root, unit, watchdog=None, before_exec=None, environment=None):
        self.root = root
        self.service = read_unit(f"{root}{unit}")
        self.watchdog = watchdog or seconds(self.service["WatchdogSec"])
        self.before_exec = before_exec
        self.environment = environment or {}
        self.ready = threading.Event()
        self.stopping = False
        self.ended = None
        self.restarts = 0
        self.pings = 0
        self.states = []
        self.process = None
        self.main_pid = None
        self.last_ping = None
        self._listen()
        threading.Thread(target=self._receive, daemon=True).start()

    def _listen(self):
        folder = f"{self.root}/run/systemd"
        os.makedirs(folder, exist_ok=True)
        self.notify_path = f"{folder}/notify"
        if os.path.exists(self.notify_path):
            os.unlink(self.notify_path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.bind(self.notify_path)
        os.chmod(self.notify_path, 0o666)

    def _receive(self):
        size = array.array("i", [0] * 3)
        while True:
            data, ancillary, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(size.itemsize * 3))
            sender = next((struct.unpack("3i", d)[0] for _, kind, d in ancillary if kind == socket.SCM_CREDENTIALS), None)
            # NotifyAccess=main: anybody else is not heard.
            if self.service["NotifyAccess"] == "main" and sender != self.main_pid:
                self.states.append(f"ignored from {sender}")
                continue
            for line in data.decode().splitlines():
                self._hear(line)

    def _hear(self, line):
        self.states.append(line)
        key, _, value = line.partition("=")
        if (key, value) == ("READY", "1"):
            self.ready.set()
        elif (key, value) == ("WATCHDOG", "1"):
            self.pings += 1
            self.last_ping = time.monotonic()
        elif (key, value) == ("STOPPING", "1"):
            self.stopping = True
        elif key == "MAINPID":
            self.main_pid = int(value)
            self.last_ping = time.monotonic()

    def _directories(self):
        user = self._user()
        for key, base in (("State", "var/lib"), ("Runtime", "run"), ("Logs", "var/log")):
            path = f"{self.root}/{base}/{self.service[key + 'Directory']}"
            os.makedirs(path, exist_ok=True)
            os.chown(path, user.pw_uid, user.pw_gid)
            os.chmod(path, int(self.service[key + "DirectoryMode"], 8))

    def _user(self):
        with open(f"{self.root}/etc/passwd", encoding="utf-8") as users:
            for line in users:
                fields = line.rstrip("\n").split(":")
                if fields[0] == self.service["User"]:
                    return pwd.struct_passwd((*fields[:2], int(fields[2]), int(fields[3]), *fields[4:]))
        raise AssertionError(f"no user {self.service['User']} in the root")

    def start(self):
        """Starts the service and waits until it says READY=1."""
        self._directories()
        self._spawn()
        threading.Thread(target=self._watch, daemon=True).start()
        self.wait_ready()

    def _as_service(self, line):
        """A command line of the unit, with the user and the capability of the service."""
        capability = self.service["AmbientCapabilities"].lower().removeprefix("cap_")
        assert self.service["CapabilityBoundingSet"] == self.service["AmbientCapabilities"]
        assert self.service["NoNewPrivileges"] == "yes"
        return [
            "setpriv", f"--reuid={self.service['User']}", f"--regid={self.service['Group']}", "--init-groups",
            f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}", f"--bounding-set=-all,+{capability}",
            "--no-new-privs", "--", *line.split(),
        ]

    def _spawn(self):
        self.ready.clear()
        self.last_ping = None
        self.ended = None
        command = self._as_service(self.service["ExecStart"])
        mask = int(self.service["UMask"], 8)
        # As far as this machine lets it be raised.
        limit = min(int(self.service["LimitNOFILE"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])

        def prepare():
            os.setsid()
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            os.chroot(self.root)
            os.chdir("/")
            os.umask(mask)
            if self.before_exec:
                self.before_exec()

        environment = {
            "PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": "/run/systemd/notify",
            "WATCHDOG_USEC": str(int(self.watchdog * 1_000_000)), **self.environment,
        }
        # WATCHDOG_PID names the process itself, which keeps its number through each exec.
        shell = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *command]
        self.log = open(f"{self.root}/service.log", "ab")
        self.process = subprocess.Popen(shell, env=environment, preexec_fn=prepare, stdout=self.log, stderr=self.log)
        self.main_pid = self.process.pid
        self.started = time.monotonic()

    def _status(self):
        """How the main process ended, in the end; None while it runs."""
        if self.main_pid == self.process.pid:
            return self.process.poll()
        try:
            # A process that was started by an upgrade is this one's child once its parent has ended.
            ended, status = os.waitpid(self.main_pid, os.WNOHANG)
            return os.waitstatus_to_exitcode(status) if ended else None
        except ChildProcessError:
            return None if os.path.exists(f"/proc/{self.main_pid}") else 1

    def _watch(self):
        """Restarts what ends by a failure, and ends what does not ping."""
        while True:
            main, status = self.main_pid, self._status()
            if main != self.main_pid:
                continue
            if main != self.process.pid:
                # Reaps the first process when it has drained.
                self.process.poll()
            if status is not None:
                self.ended = status
                if self.stopping or status == 0:
                    return
                assert self.service["Restart"] == "on-failure"
                time.sleep(seconds(self.service["RestartSec"]))
                self._spawn()
                self.restarts += 1
                continue
            if self.ready.is_set():
                alive = max(self.last_ping or 0, self.started)
                if time.monotonic() - alive > self.watchdog:
                    os.kill(main, signal.SIGABRT)
                    os.kill(main, signal.SIGCONT)
                    self.last_ping = time.monotonic()
            time.sleep(0.01)

    def wait_ready(self):
        """Waits for READY=1; a service that ends instead shows its log."""
        if not self.ready.wait(20):
            raise AssertionError(f"no READY=1; states {self.states}, log:\n{self.text()}")

    def text(self):
        """What the service wrote."""
        with open(f"{self.root}/service.log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        """SIGTERM, then waits for the end of the drain."""
        self.stopping = True
        os.kill(self.main_pid, signal.SIGTERM)
        wait_for("the service ends", lambda: self.ended is not None, 60)
        assert "STOPPING=1" in self.states, self.states
        return self.ended

    def reload(self):
        """`systemctl reload`: what ExecReload says, until it has ended; its output when it failed."""
        def prepare():
            os.chroot(self.root)
            os.chdir("/")

        command = self._as_service(self.service["ExecReload"])
        result = subprocess.run(
            command, env={"PATH": "/usr/bin:/bin"}, preexec_fn=prepare, check=False, text=True, capture_output=True,
        )
        return None if result.returncode == 0 else result.stdout + result.stderr
