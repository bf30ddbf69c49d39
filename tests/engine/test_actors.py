"""Workers as Ray's actors: on this machine, and on a cluster of two nodes, one of which is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from cam_core.engine import actors
from cam_core.engine.actors import Actors
from cam_core.engine.choosing import open_engine
from cam_core.engine.worker import open_network
from cam_core.evaluation.folder import evaluate_folder
from cam_core.evaluation.results import read_rows
from cam_core.models.origin import Origin
from cam_core.types import DeviceError
from tests.engine.asked import ASKED, RESIDUAL
from tests.engine.photos import lethal_photos, noise_photos

if find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)

os.environ.setdefault("RAY_AUTH_TOKEN", "of-these-tests-alone")  # otherwise Ray leaves one in the user's folder
ray = actors._ray()

ROOT = Path(__file__).parents[2]
LETHAL = Origin(function="tests.engine.networks:lethal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def unbroken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("unbroken") / "t.parquet"
    list(evaluate_folder(open_network(RESIDUAL, "cpu"), folder, **ASKED, out=out))
    return out.read_bytes()


@pytest.fixture(scope="session", autouse=True)
def _ended() -> Iterator[None]:
    """Once: see `Actors`."""
    yield
    ray.shutdown()


@pytest.mark.timeout(120)
def test_an_actor_gives_the_table_of_this_process(
    folder: Path, unbroken: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMSCOPE_RAY_ADDRESS", "local")
    out = tmp_path / "t.parquet"
    with open_engine("ray", workers=1) as engine:
        list(evaluate_folder(open_network(RESIDUAL, "cpu"), folder, **ASKED, out=out, engine=engine))
    assert out.read_bytes() == unbroken
    assert _free_again(), "its actor is gone"


@pytest.mark.slow
def test_a_photo_that_kills_its_actor_is_an_error_row(tmp_path: Path) -> None:
    photos, out = lethal_photos(tmp_path / "photos"), tmp_path / "t.parquet"
    with Actors("local", workers=1) as engine:
        list(evaluate_folder(open_network(LETHAL, "cpu"), photos, **ASKED, out=out, engine=engine))
    assert {row.image for row in read_rows(out) if row.value is None} == {"c.png"}


def _free_again() -> bool:
    """Whether all cores are to be had within a few seconds: an actor that was killed takes a moment to go."""
    for _ in range(100):
        if ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_gives_the_same_table(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.engine.losing_a_node", str(folder), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "nodes with cores: 1" in done.stdout.splitlines(), "one of the two is gone"
    assert (tmp_path / "whole.parquet").read_bytes() == unbroken
    assert (tmp_path / "broken.parquet").read_bytes() == unbroken


@pytest.mark.slow
@pytest.mark.skipif(find_spec("grpc") is None, reason="Ray's client is not installed: ray[client]")
def test_a_client_of_a_cluster_gives_the_same_table(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    command = [sys.executable, "-m", "tests.engine.client_of_a_cluster", str(folder), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert out.read_bytes() == unbroken


def test_an_address_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="needs an address"):
        Actors("")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("nobody\nthere")))
    with pytest.raises(DeviceError, match=r"there is no Ray at 10\.0\.0\.1:6379: nobody"):
        Actors("10.0.0.1:6379")
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ImportError("No module named 'grpc'")))
    with pytest.raises(DeviceError, match=r"ray://head:10001 is for Ray's client: pip install 'camscope\[ray\]'"):
        Actors("ray://head:10001")


def test_ray_is_started_in_a_thread_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it starts ends with that thread: a page's job, which is one of many, would take it along."""
    started: list[threading.Thread] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(started))
    monkeypatch.setattr(ray, "init", lambda **_: started.append(threading.current_thread()))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2})
    jobs = [threading.Thread(target=Actors, args=("local",)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    (thread,) = started
    assert thread.is_alive() and thread not in jobs


def test_nothing_is_told_to_anybody_and_a_token_is_asked_for() -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] in ("token", "disabled")
