"""Workers as Ray's actors: on this machine, and on a cluster of two nodes, one of which is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cam_core.engine import actors
from cam_core.engine.actors import Actors
from cam_core.engine.choosing import open_engine
from cam_core.engine.worker import open_network
from cam_core.evaluation import plan
from cam_core.evaluation.folder import evaluate_folder
from cam_core.evaluation.results import read_rows
from cam_core.models.origin import Origin
from cam_core.types import DeviceError
from tests.engine.photos import lethal_photos, noise_photos

if find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)

os.environ.setdefault("RAY_AUTH_TOKEN", "of-these-tests-alone")  # otherwise Ray leaves one in the user's folder
ray = actors._ray()

RESIDUAL = Origin(function="tests.engine.networks:residual")
LETHAL = Origin(function="tests.engine.networks:lethal")
ASKED: dict[str, Any] = {"methods": ["grad-cam", "random"], "metrics": ["average-drop", "complexity"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def unbroken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("unbroken") / "t.parquet"
    list(evaluate_folder(open_network(RESIDUAL, "cpu"), folder, **ASKED, out=out))
    return out.read_bytes()


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
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
    assert not ray.is_initialized(), "what was started for this is ended"


@pytest.mark.slow
def test_a_photo_that_kills_its_actor_is_an_error_row(tmp_path: Path) -> None:
    photos, out = lethal_photos(tmp_path / "photos"), tmp_path / "t.parquet"
    with Actors("local", workers=1) as engine:
        list(evaluate_folder(open_network(LETHAL, "cpu"), photos, **ASKED, out=out, engine=engine))
    assert {row.image for row in read_rows(out) if row.value is None} == {"c.png"}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one core each beside a head that computes nothing."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(
    "PYTEST_XDIST_WORKER" in os.environ,
    reason="on a busy machine the lost node took the test's worker with it: run alone, pytest -m slow tests/engine",
)
def test_a_cluster_that_loses_a_node_gives_the_same_table(
    cluster: Any, folder: Path, unbroken: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_MOST_IMAGES", 1)
    clf, whole, broken = open_network(RESIDUAL, "cpu"), tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    with Actors(cluster.address) as engine:
        list(evaluate_folder(clf, folder, **ASKED, out=whole, engine=engine))
        assert whole.read_bytes() == unbroken
        steps = evaluate_folder(clf, folder, **ASKED, out=broken, engine=engine)
        next(steps)
        lost, *_ = cluster.worker_nodes
        cluster.remove_node(lost, allow_graceful=False)
        list(steps)
    assert broken.read_bytes() == unbroken


def test_an_address_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="needs an address"):
        Actors("")
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("nobody\nthere")))
    with pytest.raises(DeviceError, match=r"there is no Ray at 10\.0\.0\.1:6379: nobody"):
        Actors("10.0.0.1:6379")


def test_nothing_is_told_to_anybody_and_a_token_is_asked_for() -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] in ("token", "disabled")
