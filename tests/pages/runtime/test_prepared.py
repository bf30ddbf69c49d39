"""A server that has loaded its network is ready: nothing of that stays behind to slow what is computed later."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, gc, os, resource
from concurrent.futures import ThreadPoolExecutor
import torch
from pages.__main__ import BUNDLED, prepare
from pages.runtime import compute
def threads(): return len(os.listdir("/proc/self/task"))
before = threads()
prepare()
print(compute.ModelSpec(BUNDLED) in compute.loaded(), gc.get_freeze_count() > 100_000, threads() - before)
def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(40 * 2**18).neg_()  # 40 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def in_new_threads():
    with ThreadPoolExecutor(4) as pool:
        return [job.result() for job in [pool.submit(new_pages) for _ in range(40)]]
in_new_threads()
print(not hasattr(ctypes.CDLL(None), "mallopt") or sum(in_new_threads()) < 40_000)
"""


BOUND = """
import socket, sys
from streamlit.web.server.starlette import starlette_server
from pages.__main__ import answer_at_once
answer_at_once()
listening = starlette_server._bind_socket("127.0.0.1", 0, 1)
listening.setblocking(True)
visitor = socket.create_connection(listening.getsockname())
accepted, _ = listening.accept()
print(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0, sys.getswitchinterval() < 0.001)
"""


def test_what_is_written_to_a_visitor_is_not_held_back() -> None:
    unset = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    told = subprocess.run(
        [sys.executable, "-c", BOUND], env=unset | {"OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True
    )
    assert told.stdout.split() == ["True", "True"], told.stderr
    if sys.platform == "linux":  # there torch brings GNU's OpenMP, which has read it by then
        assert "GOMP_SPINCOUNT = '10000'" in told.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_the_network_is_there_and_no_helper_of_openmp_and_freed_memory_is_kept() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | {"OMP_NUM_THREADS": "4"}, capture_output=True, text=True
    )
    assert told.stdout.split()[-4:] == ["True", "True", "0", "True"], told.stderr
