#!/usr/bin/env python3
"""Counts the instructions of what every request passes, and compares them with the committed figures.

    make guards               builds what is counted, then this:
    bench/guard.py            fails when a count is more than 5 % above its figure
    bench/guard.py --update   writes the figures anew

Instructions under callgrind do not depend on how busy a machine is. Which variants of memcpy glibc takes depends on the
CPU, so it is told to take those that every x86-64 has; other architectures are not compared.
"""

import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "release"
FIGURES = ROOT / "bench" / "instructions.txt"
LIMIT = 1.05
ROUNDS = 1000
TRAFFIC = {"wrk": "wrk and nginx", "browser": "browser and app"}
FUNCTIONS = ["parse_request", "forward", "parse_response", "respond"]
LOOKUPS = 10_000
PLAIN_GLIBC = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM"


def count(function, program, *arguments):
    """Instructions that were executed inside of `function`."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={function}", BUILT / program]
    environment = os.environ | {"GLIBC_TUNABLES": PLAIN_GLIBC}
    run = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, env=environment)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    total = int(collected.group(1))
    if total == 0:
        sys.exit(f"{function} was not met: the guard would guard nothing")
    return total


def measure():
    counts = {}
    for name, traffic in TRAFFIC.items():
        for function in FUNCTIONS:
            total = count(f"codec::Side::{function}", "codec", str(ROUNDS), name)
            counts[f"{function}, {traffic}"] = total / ROUNDS
    counts["lookup among 10,000 Ingresses"] = count("measure::lookups", "measure", "lookups", "10000") / LOOKUPS
    return counts


def read():
    lines = [line for line in FIGURES.read_text().splitlines() if line and not line.startswith("#")]
    return {name.strip(): float(figure) for name, figure in (line.rsplit(maxsplit=1) for line in lines)}


def main():
    if platform.machine() != "x86_64":
        print("instructions are compared on x86-64 only")
        return
    counts = measure()
    if "--update" in sys.argv:
        lines = [f"{name:<40} {figure:.1f}" for name, figure in counts.items()]
        FIGURES.write_text("# Instructions per call, by bench/guard.py --update\n" + "\n".join(lines) + "\n")
    figures = read()
    if figures.keys() != counts.keys():
        sys.exit("bench/instructions.txt names other things than are measured; run bench/guard.py --update")
    failed = False
    print(f"{'instructions per call':<40} {'now':>10} {'figure':>10} {'ratio':>7}")
    for name, now in counts.items():
        ratio = now / figures[name]
        failed |= ratio > LIMIT
        print(f"{name:<40} {now:>10.1f} {figures[name]:>10.1f} {ratio:>7.3f}{'  TOO MANY' if ratio > LIMIT else ''}")
    if failed:
        sys.exit(f"more than {LIMIT - 1:.0%} above the figure: find out why, or write the figures anew and say why")


if __name__ == "__main__":
    main()
