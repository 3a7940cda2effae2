#!/usr/bin/env python3
"""The life of the deb: install, start, serve, change, crash, hang, upgrade, remove, purge.

    deb.py --deb OLD.deb --next NEW.deb [--root FOLDER]

FOLDER is a Debian system to install into; without it the machine's own, under an overlay. Neither is changed.
"""

import argparse
import http.client
import http.server
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time

from root import Root, enter
from seccomp import without_io_uring
from supervisor import Supervisor, wait_for

UNIT = "/lib/systemd/system/ringress.service"
MANIFEST = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: site}}
spec:
  ingressClassName: nginx
  rules:
  - host: {host}
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: site, port: {{number: 80}}}}}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: site}}
spec: {{ports: [{{port: 80, targetPort: {port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: site-1, labels: {{kubernetes.io/service-name: site}}}}
addressType: IPv4
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
ports: [{{port: {port}}}]
"""


class Origin(http.server.BaseHTTPRequestHandler):
    """Answers every request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"from the origin\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    """Says nothing of connections that a killed proxy resets."""

    daemon_threads = True
    # With five, the default, what a new process connects at once waits for a second or three, and for wrk that is a timeout.
    request_queue_size = 128

    def handle_error(self, *_):
        pass


def get(host, tls=False):
    """The status of a request to port 80 or 443; 0 when there was no answer."""
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", 443, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def step(text):
    print(f"  {text}", flush=True)


def install(root, deb):
    """`apt install ./x.deb` without asking the archive: everything it depends on is there."""
    shutil.copy(deb, f"{root.path}/tmp/")
    return root.run("apt-get", "install", "-y", "--no-install-recommends", f"/tmp/{os.path.basename(deb)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deb", required=True)
    parser.add_argument("--next", required=True)
    parser.add_argument("--root", default="/")
    arguments = parser.parse_args()
    enter()

    origin = Quiet(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    root = Root(arguments.root)
    before = root.files()

    install(root, arguments.deb)
    installed(root)
    service = serves(root, origin.server_port)
    survives(service)
    upgrades(root, service, arguments.next)
    falls_back(root)
    leaves_nothing(root, before)
    print("1 passed, 0 failed")


def installed(root):
    assert root.run("ringress", "version").startswith("ringress ")
    assert "ringress:" in open(f"{root.path}/etc/passwd", encoding="utf-8").read()
    mode = os.stat(f"{root.path}/etc/ringress/manifests").st_mode & 0o777
    assert mode == 0o750, oct(mode)
    root.run("ringress", "check", "/usr/share/doc/ringress/examples/shop.yaml")
    if root.exists("/usr/bin/systemd-analyze"):
        complaints = root.run("systemd-analyze", "verify", "--man=no", UNIT)
        assert "ringress" not in complaints, complaints
        root.run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT)
    assert root.exists("/etc/systemd/system/multi-user.target.wants/ringress.service"), "the unit is enabled"
    step("installed; the user, the folder of manifests and the link of the unit are there")


def serves(root, port):
    service = Supervisor(root.path, UNIT)
    service.start()
    assert get("site.example.com") == 404
    manifest = "/etc/ringress/manifests/site.yaml"

    def show(host, name):
        root.write(manifest, MANIFEST.format(host=host, port=port), 0o640)
        os.chown(f"{root.path}{manifest}", 0, service._user().pw_gid)
        begin = time.monotonic()
        wait_for(f"{name} is served", lambda: get(host) == 200, 1.0)
        return time.monotonic() - begin

    step(f"a manifest serves on port 80 after {show('site.example.com', 'a manifest') * 1000:.0f} ms")
    assert get("site.example.com", tls=True) == 200
    step("and on port 443")
    step(f"a changed one after {show('other.example.com', 'a changed manifest') * 1000:.0f} ms")
    assert get("site.example.com") == 404
    wait_for("the watchdog is fed", lambda: service.pings > 0, service.watchdog)
    status = open(f"/proc/{service.main_pid}/status", encoding="utf-8").read()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert set(fields["Uid"].split()) == {str(service._user().pw_uid)}
    # CAP_NET_BIND_SERVICE is bit 10.
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 1 << 10, fields["CapEff"]
    step("as its own user with one capability; READY=1 and WATCHDOG=1 came from the main process")
    return service


def survives(service):
    """A crash and a hang are restarted; each begins from what is on disk."""
    service.watchdog, first = 2.0, service.restarts
    os.kill(service.main_pid, signal.SIGKILL)
    begin = time.monotonic()
    wait_for("restarted after a crash", lambda: service.restarts > first and get("other.example.com") == 200, 5)
    step(f"after a crash it serves again within {(time.monotonic() - begin) * 1000:.0f} ms")
    service.wait_ready()
    wait_for("the watchdog is fed again", lambda: service.last_ping, 5)
    hung, second = service.main_pid, service.restarts
    os.kill(hung, signal.SIGSTOP)
    wait_for("restarted after a hang", lambda: service.restarts > second and get("other.example.com") == 200, 10)
    assert service.main_pid != hung
    service.wait_ready()
    step("a process that hangs is ended by the watchdog and replaced")


def upgrades(root, service, deb):
    old = root.run("dpkg-query", "-W", "-f=${Version}", "ringress")
    text = open(f"{root.path}/etc/ringress/ringress.yaml", encoding="utf-8").read()
    root.write("/etc/ringress/ringress.yaml", text + "drain-timeout: 5s\n")
    load = subprocess.Popen(
        ["wrk", "-t1", "-c16", "-d600s", "-H", "Host: other.example.com", "http://127.0.0.1/"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    install(root, deb)
    assert root.run("dpkg-query", "-W", "-f=${Version}", "ringress") != old
    kept = open(f"{root.path}/etc/ringress/ringress.yaml", encoding="utf-8").read()
    assert kept.endswith("drain-timeout: 5s\n"), "an edited conffile is kept"
    assert get("other.example.com") == 200, "the old process serves while the new files are laid out"
    # What postinst asks systemd for, which does not run here.
    first, told = service.main_pid, len(service.states)
    failed = service.reload()
    assert failed is None, failed
    wait_for("the new process is the main one", lambda: service.main_pid != first)
    wait_for("the old process has ended", lambda: not os.path.exists(f"/proc/{first}"))
    states = [state for state in service.states[told:] if not state.startswith(("WATCHDOG", "MONOTONIC"))]
    assert states == ["RELOADING=1", f"MAINPID={service.main_pid}", "READY=1"], states
    assert get("other.example.com") == 200 and get("other.example.com", tls=True) == 200
    # wrk ends early by SIGINT and reports all the same.
    load.send_signal(signal.SIGINT)
    report = load.communicate(timeout=60)[0]
    assert "Requests/sec" in report and "Socket errors" not in report and "Non-2xx" not in report, report
    step("upgraded under wrk without a failed request; the edited ringress.yaml is kept")
    second = service.main_pid
    root.write("/etc/ringress/ringress.yaml", kept + "no-such-option: 1\n")
    failed = service.reload()
    assert failed and "no-such-option" in failed, failed
    assert service.main_pid == second and get("other.example.com") == 200
    root.write("/etc/ringress/ringress.yaml", kept)
    step("a reload with a broken ringress.yaml fails and says why; the process goes on")
    restarts = service.restarts
    os.kill(second, signal.SIGKILL)
    wait_for("restarted", lambda: service.restarts > restarts and get("other.example.com") == 200, 5)
    service.wait_ready()
    assert service.stop() == 0
    step("the process that an upgrade started is restarted after a crash, and stops in order")


def falls_back(root):
    service = Supervisor(root.path, UNIT, before_exec=without_io_uring())
    begin = len(service.text())
    service.start()
    assert get("other.example.com") == 200
    assert "io_uring is not available here, so epoll is used" in service.text()[begin:]
    assert service.stop() == 0
    step("without the system calls of io_uring it serves by epoll and says so")


def leaves_nothing(root, before):
    root.run("dpkg", "--remove", "ringress")
    assert root.exists("/etc/ringress/ringress.yaml") and not root.exists("/usr/bin/ringress")
    root.run("dpkg", "--purge", "ringress")
    for name in ("passwd", "group", "shadow", "gshadow"):
        assert "ringress" not in open(f"{root.path}/etc/{name}", encoding="utf-8").read(), name
    left = {path for path in root.files() - before if "ringress" in path}
    assert not left, f"left after the purge: {sorted(left)}"
    step("removed, purged: nothing is left")


if __name__ == "__main__":
    main()
