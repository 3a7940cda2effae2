#!/usr/bin/env python3
"""oci.py ROOTFS TAR VERSION ARCH: an image of one layer as an OCI layout in a tar, the same bytes for the same files."""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile


def layer(root, epoch):
    """The files, sorted, with one date; the capability of the binary goes along as an extended attribute."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        paths = sorted(os.path.join(f, name) for f, folders, files in os.walk(root) for name in folders + files)
        for path in paths:
            entry = tar.gettarinfo(path, os.path.relpath(path, root))
            entry.mtime, entry.uname, entry.gname = epoch, "", ""
            if entry.isreg():
                if "security.capability" in os.listxattr(path):
                    value = os.getxattr(path, "security.capability").decode("utf-8", "surrogateescape")
                    entry.pax_headers["SCHILY.xattr.security.capability"] = value
                with open(path, "rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
    return content.getvalue()


def main(root, target, version, architecture):
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    files = layer(root, epoch)
    blobs = {}

    def blob(media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    packed = blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(files, mtime=0))
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": "65532:65532", "Entrypoint": ["/usr/bin/ringress"], "Cmd": ["run"],
            "ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "10254/tcp": {}},
            "Labels": {"org.opencontainers.image.title": "ringress", "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(files).hexdigest()}"]},
    }
    configuration = blob("application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": manifest_type, "config": configuration, "layers": [packed]}
    described = blob(manifest_type, json.dumps(manifest).encode())
    described["annotations"] = {"org.opencontainers.image.ref.name": version}
    members = {f"blobs/sha256/{digest}": data for digest, data in blobs.items()}
    members["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [described]}).encode()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), epoch, 0o644
            tar.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main(*sys.argv[1:])
