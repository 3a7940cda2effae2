#!/usr/bin/env python3
"""The life of the rpm, its scripts included, under systemd itself: install, serve, upgrade under load, erase.

    rpm.py --rpm OLD.rpm --next NEW.rpm [--root FOLDER]

The root is a Debian with rpm's tools, so dependencies are not looked up; everything else is as rpm does it. Where systemd
cannot be started, or the root has no rpm, this test is skipped and says so: rpm.sh looks at the files then.
"""

import os
import shutil

from deb import MANIFEST, get, step
from supervisor import wait_for
from systemd import HOST, OPTIONS, SITE, Load, Skipped, arguments_of, live

VERSION = "%{VERSION}\n"


def rpm(host, *arguments, check=True):
    return host.run("rpm", *arguments, check=check)


def copied(host, path):
    shutil.copy(path, f"/proc/{host.pid}/root/root/")
    return f"/root/{os.path.basename(path)}"


def has_ended(host, pid):
    return not host.run("ps", "-o", "comm=", "-p", str(pid), check=False).strip()


def starts(host, package, port):
    rpm(host, "--install", "--nodeps", copied(host, package))
    assert host.run("stat", "-c", "%U:%G %a", "/etc/ringress/manifests").strip() == "root:ringress 750"
    host.write(SITE, MANIFEST.format(host=HOST, port=port))
    host.run("systemctl", "enable", "--now", "ringress")
    wait_for("it serves", lambda: get(HOST) == 200, 5)
    assert get(HOST, tls=True) == 200 and host.show("ActiveState") == "active"
    step("`rpm --install` makes user and folders; enabled and started, a manifest serves on 80 and 443")


def upgrades(host, package):
    """With a broken ringress.yaml first, then with a good one."""
    kept = host.run("cat", OPTIONS) + "drain-timeout: 5s\n"
    host.write(OPTIONS, kept + "no-such-option: 1\n", 0o644)
    old, package = rpm(host, "-q", "--qf", VERSION, "ringress"), copied(host, package)
    first = host.main_pid()
    with Load():
        said = rpm(host, "--upgrade", "--nodeps", package)
        assert "the old version goes on serving" in said, said
        assert host.main_pid() == first and get(HOST) == 200
        host.write(OPTIONS, kept, 0o644)
        rpm(host, "--upgrade", "--nodeps", "--replacepkgs", package)
        host.run("systemctl", "reload", "ringress")
        wait_for("the new process is the main one", lambda: host.main_pid() != first)
        wait_for("the old one has ended", lambda: has_ended(host, first))
        assert get(HOST) == 200
    new = rpm(host, "-q", "--qf", VERSION, "ringress")
    assert new != old and len(new.split()) == 1, (old, new)
    assert host.run("readlink", f"/proc/{host.main_pid()}/exe").strip() == "/usr/bin/ringress", "the old program runs"
    assert host.run("cat", OPTIONS) == kept, "an edited configuration is kept"
    changed = rpm(host, "--verify", "--nodeps", "ringress", check=False).splitlines()
    assert [line.split()[-1] for line in changed] == [OPTIONS], changed
    step("`rpm --upgrade` to the next version under wrk: with a broken ringress.yaml the old one goes on and rpm says so, "
         "then the new one takes over; no failed request")


def takes_over(host, package):
    """As administrators do it: one command."""
    first = host.main_pid()
    with Load():
        rpm(host, "--upgrade", "--nodeps", "--oldpackage", copied(host, package))
        wait_for("the new process is the main one", lambda: host.main_pid() != first)
        wait_for("the old one has ended", lambda: has_ended(host, first))
        assert get(HOST) == 200
    step("`rpm --upgrade --oldpackage` back under wrk: its script has the other program take over; no failed request")


def leaves_what_was_edited(host, before):
    main = host.main_pid()
    rpm(host, "--erase", "ringress")
    assert get(HOST) == 0 and has_ended(host, main), "it still serves"
    assert "ringress" not in host.run("systemctl", "list-unit-files")
    left = {path for path in host.root.files() - before if "ringress" in path and not path.startswith(("/root/", "/var/lib/rpm"))}
    # Folders that hold something.
    expected = {f"{OPTIONS}.rpmsave", SITE, os.path.dirname(SITE), os.path.dirname(OPTIONS)}
    assert left == expected, f"left after the removal: {sorted(left ^ expected)}"
    step("erased while systemd runs: stopped, disabled; an edited ringress.yaml and manifests are kept")


def main():
    arguments = arguments_of(__doc__, "--rpm")

    def life(host, port):
        if not host.root.exists("/usr/bin/rpm"):
            raise Skipped("no rpm in the root")
        before = host.root.files()
        starts(host, arguments.rpm, port)
        upgrades(host, arguments.next)
        takes_over(host, arguments.rpm)
        leaves_what_was_edited(host, before)

    live(arguments.root, life)


if __name__ == "__main__":
    main()
