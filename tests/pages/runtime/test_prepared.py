"""A server that has loaded its network is ready: nothing of that stays behind to slow what is computed later."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, gc, os, resource
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import torch
from pages.__main__ import BUNDLED, _import_core, prepare
from pages.runtime import compute
def threads(): return len(os.listdir("/proc/self/task"))
_import_core()  # scipy brings threads of its own
before = threads()
prepare()
print(compute.ModelSpec(BUNDLED) in compute.loaded(), gc.get_freeze_count() > 100_000, threads() - before)
together = Barrier(4)
def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = torch.ones(40 * 2**18).neg_()  # 40 MiB
    together.wait()  # four are there at a time, the first time and the second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def in_new_threads():
    with ThreadPoolExecutor(4) as pool:
        return [job.result() for job in [pool.submit(new_pages) for _ in range(40)]]
in_new_threads()
print(not hasattr(ctypes.CDLL(None), "mallopt") or sum(in_new_threads()) < 40_000)
"""


IMPORTED = """
import importlib, pkgutil, sys
import pages
from pages.__main__ import prepare
def packages(): return {name.partition(".")[0] for name in list(sys.modules)}
prepare()
before = packages()
for module in pkgutil.walk_packages(pages.__path__, "pages."):
    if not module.name.endswith((".page", ".__main__")):
        importlib.import_module(module.name)
print("scipy.stats" in sys.modules, "matplotlib.figure" in sys.modules, sorted(packages() - before))
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


def test_all_that_pages_import_is_there_before_two_visitors_import_it_at_once() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert told.stdout.split()[-3:] == ["True", "True", "[]"], told.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_the_network_is_there_and_no_helper_of_openmp_and_freed_memory_is_kept() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | {"OMP_NUM_THREADS": "4"}, capture_output=True, text=True
    )
    assert told.stdout.split()[-4:] == ["True", "True", "0", "True"], told.stderr
