"""Memory that was freed is used again without the system, and given back when it is asked for."""

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="no GNU C library"
)

PROGRAM = """
import resource, sys
import torch
from cam_core.models.allocator import give_back_freed_memory, keep_freed_memory
from cam_core.models.hardware import resident

PAGES = 40 * 2**20 // resource.getpagesize()  # of one result: larger than any that is kept by default
TIMES, MUCH = 10, 3

def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def compute():
    before = faults()
    for _ in range(TIMES):
        torch.ones(40 * 2**18).neg_()
    return (faults() - before) / PAGES

compute()
print(compute() > 0.9 * TIMES)
print(keep_freed_memory())
compute()
print(compute() < MUCH)
kept = resident()
give_back_freed_memory()
print(kept - resident() > 30e6)
print(0.5 < compute() < MUCH)
"""


def test_freed_memory_is_used_again_and_given_back_when_asked_for() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert told.stdout.split() == ["True"] * 5, told.stderr + told.stdout
