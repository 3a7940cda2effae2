#!/usr/bin/env python3
"""The Dockerfile's image, built by buildah without a registry.

    buildah.py IMAGE.tar ROOTFS

The stage that compiles needs a registry and minutes, so the image of `make image` stands for what it leaves; the last stage is
built as it is written. That also has buildah read the image. Where there is no buildah this is skipped, and says so.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

from image import DOCKERFILE, USER
from root import enter


def last_stage(image):
    """The Dockerfile with the image in place of the stage that compiles."""
    with open(DOCKERFILE, encoding="utf-8") as file:
        last = re.split(r"^FROM ", file.read(), flags=re.MULTILINE)[-1]
    assert last.count("--from=build /rootfs /") == 1, last
    return f"FROM oci-archive:{image} AS build\nFROM " + last.replace("--from=build /rootfs /", "--from=build / /")


def files(root):
    """What is there: owner, mode, size and content of each path."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            entry = os.lstat(path)
            content = open(path, "rb").read() if stat.S_ISREG(entry.st_mode) else b""
            attributes = {key: os.getxattr(path, key) for key in os.listxattr(path) if key == "security.capability"}
            found[os.path.relpath(path, root)] = (entry.st_uid, entry.st_gid, entry.st_mode, content, attributes)
    return found


def main(image, rootfs):
    if not shutil.which("buildah"):
        print("SKIPPED: there is no buildah\n0 passed, 0 failed, 1 skipped")
        return
    enter()
    with tempfile.TemporaryDirectory() as work:
        for folder in ("context", "store", "run"):
            os.mkdir(f"{work}/{folder}")
        with open(f"{work}/Dockerfile", "w", encoding="utf-8") as file:
            file.write(last_stage(image))

        def buildah(*command):
            options = ("--root", f"{work}/store", "--runroot", f"{work}/run", "--storage-driver", "vfs")
            result = subprocess.run(["buildah", *options, *command], text=True, capture_output=True, check=False)
            assert result.returncode == 0, f"{command}: {result.stderr}"
            return result.stdout.strip()

        buildah("bud", "--isolation", "chroot", "--tag", "ringress", "--file", f"{work}/Dockerfile", f"{work}/context")
        container = buildah("from", "localhost/ringress")
        built, made = files(buildah("mount", container)), files(rootfs)
        # Mount points that buildah adds.
        differ = [path for path in made if built.get(path) != made[path]]
        assert not differ, f"not as in the image without an engine: {differ}"
        assert made["var/lib/ringress"][0] == USER and made["usr/bin/ringress"][4], "owner and capability are there to be kept"
        config = json.loads(buildah("inspect", "--type", "image", "localhost/ringress"))["OCIv1"]["config"]
        assert config["User"] == f"{USER}:{USER}" and config["Entrypoint"] == ["/usr/bin/ringress"] and config["Cmd"] == ["run"]
        said = buildah("run", "--isolation", "chroot", container, "--", "/usr/bin/ringress", "version")
        assert said.startswith("ringress ") and "driver" in said, said
        buildah("umount", container)
    print("  buildah makes the Dockerfile's image from scratch: same files, owners, capability; it starts")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(*(os.path.abspath(path) for path in sys.argv[1:]))
