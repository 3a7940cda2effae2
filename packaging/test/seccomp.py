"""System call filters for tests: one that only lacks io_uring, and one made of a container profile."""

import ctypes
import errno
import json
import re
import struct

# linux/bpf_common.h, linux/seccomp.h, linux/prctl.h
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
NUMBERS = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"


def numbers():
    """The numbers of the system calls by name, as the kernel's header has them."""
    with open(NUMBERS, encoding="utf-8") as header:
        return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read())}


def load(matching, on_match, otherwise, fix_privileges=True):
    """Applies a filter to this process and its children: what it does with `matching` numbers and with the rest.

    Only root may leave privileges as they are.
    """
    program = [(LOAD, 0, 0, 0)]
    for number in matching:
        program += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, on_match)]
    program.append((RETURN, 0, 0, otherwise))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filter_ = Program(len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if fix_privileges and libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def without_io_uring():
    """To be called in a child: refuses what container runtimes refuse by default."""
    known = numbers()
    refused = [known[name] for name in ("io_uring_setup", "io_uring_enter", "io_uring_register")]
    return lambda: load(refused, ERRNO | errno.EPERM, ALLOW)


def profile(path, fix_privileges=True):
    """To be called in a child: the filter of a container profile; its names are allowed, all others refused."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    assert content["defaultAction"] == "SCMP_ACT_ERRNO", "a list of what is allowed"
    known = numbers()
    allowed = sorted({known[name] for group in content["syscalls"] for name in group["names"] if name in known})
    return lambda: load(allowed, ALLOW, ERRNO | errno.EPERM, fix_privileges)
