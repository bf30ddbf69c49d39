"""Memory that was freed is used again without the system, by any thread; and given back when it is asked for."""

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="no GNU C library"
)

PROGRAM = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
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
def in_a_thread():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(compute).result()

compute()
print(compute() > 0.9 * TIMES)
print(keep_freed_memory())
compute()
print(compute() < MUCH, in_a_thread() < MUCH)
kept = resident()
give_back_freed_memory()
print(kept - resident() > 30e6)
print(0.5 < in_a_thread() < MUCH)
"""


def test_freed_memory_is_used_again_and_given_back_when_asked_for() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert told.stdout.split() == ["True"] * 6, told.stderr + told.stdout
