#!/usr/bin/env python3
"""What `make release` leaves is whole, and all of it says the same version.

    release.py FOLDER
"""

import glob
import json
import os
import re
import subprocess
import sys
import tarfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
# What CycloneDX 1.5 knows of a component.
FIELDS = {"type", "bom-ref", "name", "version", "purl", "licenses", "hashes"}


def output(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout.strip()


def only(folder, pattern):
    found = glob.glob(f"{folder}/{pattern}")
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def check_sums(folder):
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    summed = {line.split("  ", 1)[1].rstrip("\n") for line in open(f"{folder}/SHA256SUMS", encoding="utf-8")}
    there = {os.path.relpath(os.path.join(f, name), folder) for f, _, names in os.walk(folder) for name in names}
    assert there - summed == {"SHA256SUMS"}, there ^ summed
    return len(summed)


def versions(folder):
    """The version that each part says."""
    yield "deb", output("dpkg-deb", "-f", only(folder, "*.deb"), "Version").removesuffix("-1").replace("~", "-")
    yield "rpm", output("rpm", "-qp", "--qf", "%{VERSION}", only(folder, "*.rpm")).replace("~", "-")
    with tarfile.open(only(folder, "ringress.tar")) as tar:
        read = lambda name: json.load(tar.extractfile(name))
        blob = lambda entry: read("blobs/" + entry["digest"].replace(":", "/"))
        yield "image", blob(blob(read("index.json")["manifests"][0])["config"])["config"]["Labels"]["org.opencontainers.image.version"]
    with tarfile.open(only(folder, "*.tgz")) as tar:
        chart = tar.extractfile("ringress/Chart.yaml").read().decode()
    for field in ("version", "appVersion"):
        yield f"chart's {field}", re.search(rf"^{field}: \"?([^\"\n]+)", chart, re.MULTILINE)[1]
    yield "SBOM", json.load(open(only(folder, "*.cdx.json"), encoding="utf-8"))["metadata"]["component"]["version"]


def check_parts(folder):
    document = json.load(open(only(folder, "*.cdx.json"), encoding="utf-8"))
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    components = document["components"]
    references = {component["bom-ref"] for component in components}
    assert len(references) == len(components) > 100, len(components)
    licences = open(f"{folder}/THIRD-PARTY.txt", encoding="utf-8").read()
    for component in components:
        assert component.keys() == FIELDS, component
        assert re.fullmatch("[0-9a-f]{64}", component["hashes"][0]["content"]) and component["licenses"][0]["expression"]
        assert f"\n{component['name']} {component['version']}: " in licences, component["purl"]
    [dependencies] = document["dependencies"]
    assert set(dependencies["dependsOn"]) == references
    return len(components)


def main(folder):
    count = check_sums(folder)
    with open(f"{SOURCE}/Cargo.toml", encoding="utf-8") as manifest:
        workspace = re.search(r'^\[workspace\.package\]\n(?:[^\[].*\n)*?version = "(.+)"', manifest.read(), re.MULTILINE)[1]
    expected = os.environ.get("VERSION") or workspace
    said = dict(versions(folder))
    assert set(said.values()) == {expected}, f"{expected} is released, and {said}"
    crates = check_parts(folder)
    for name in ("CHANGELOG.md", "manifests", "monitoring", "seccomp"):
        assert os.path.exists(f"{folder}/{name}"), name
    print(f"  release {expected}: {count} files with their sums, {len(said)} places of one version, {crates} crates with licences")
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
