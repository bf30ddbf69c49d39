"""The same evaluation wherever its workers live: equal bytes, whatever dies on the way."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cam_core import Cancelled, load_model
from cam_core.engine.choosing import open_engine
from cam_core.engine.inline import Inline
from cam_core.engine.processes import Processes
from cam_core.engine.tasks import Done, Failed, Introduced, Item, Network
from cam_core.engine.worker import Worker, open_network
from cam_core.evaluation import folder as folders
from cam_core.evaluation import plan
from cam_core.evaluation.folder import Step, evaluate_folder, merge_parts
from cam_core.evaluation.photos import Photo
from cam_core.evaluation.results import read_rows
from cam_core.evaluation.shards import Shard, Unit, Work, asked
from cam_core.evaluation.sources.places import Place
from cam_core.methods import METHODS
from cam_core.models.classifier import Classifier
from cam_core.models.origin import Origin
from cam_core.types import DeviceError, MetricError, ModelError
from tests.engine.asked import RESIDUAL
from tests.engine.photos import NAMES, lethal_photos, noise_photos
from tests.tiny import tiny_classifier

ROOT = Path(__file__).parents[2]
LETHAL = Origin(function="tests.engine.networks:lethal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image each."""
    monkeypatch.setattr(plan, "_MOST_IMAGES", 1)


def evaluating(clf: Classifier, folder: Path, out: Path, **arguments: Any) -> Iterator[Step]:
    settings: dict[str, Any] = {"methods": ["grad-cam", "random"], "metrics": ["average-drop", "complexity"]}
    return evaluate_folder(clf, folder, **settings | arguments, out=out)


@pytest.fixture(scope="module")
def unbroken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("unbroken") / "t.parquet"
    list(evaluating(open_network(RESIDUAL, "cpu"), folder, out))
    return out.read_bytes()


def test_a_process_gives_the_table_of_this_one(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    told: list[tuple[int, int]] = []
    with Processes(workers=1, threads=1) as engine:
        steps = list(
            evaluating(
                open_network(RESIDUAL, "cpu"), folder, out, engine=engine, progress=lambda *pair: told.append(pair)
            )
        )
    assert out.read_bytes() == unbroken
    assert steps[-1].done == steps[-1].total == 2 * len(NAMES)
    assert told == sorted(told) and {done for done, _ in told} >= {2, 4, 6, 8}


@pytest.mark.usefixtures("small_shards")
def test_shards_that_are_merged_give_the_same_table(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    out, clf = tmp_path / "t.parquet", open_network(RESIDUAL, "cpu")
    for number in (3, 1):
        (*_, last) = evaluating(clf, folder, out, shard=(number, 3))
        assert last.done == last.total
        assert not out.exists()
    with pytest.raises(MetricError, match="1 of 4 images are missing"):
        merge_parts(out)
    list(evaluating(clf, folder, out, shard=(2, 3)))
    assert merge_parts(out) == len(NAMES)
    assert out.read_bytes() == unbroken
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.usefixtures("small_shards")
def test_shards_of_a_folder_that_changed_are_not_merged(folder: Path, tmp_path: Path) -> None:
    photos, out, clf = tmp_path / "photos", tmp_path / "t.parquet", open_network(RESIDUAL, "cpu")
    (photos / "c").mkdir(parents=True)
    for name in NAMES:
        (photos / name).write_bytes((folder / name).read_bytes())
    list(evaluating(clf, photos, out, shard=(1, 2)))
    (photos / "bb.png").write_bytes((photos / "b.png").read_bytes())
    list(evaluating(clf, photos, out, shard=(2, 2)))
    with pytest.raises(MetricError, match="a folder that changed meanwhile"):
        merge_parts(out)
    list(evaluating(clf, photos, out))
    assert {row.image for row in read_rows(out)} == {*NAMES, "bb.png"}


def test_there_must_be_something_to_merge(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="nothing to merge"):
        merge_parts(tmp_path / "t.parquet")


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 0)])
def test_a_shard_that_is_none_is_refused(folder: Path, tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(MetricError, match="there is no shard"):
        next(evaluating(tiny_classifier("plain"), folder, tmp_path / "t.parquet", shard=shard))


def test_images_of_a_shard_that_was_stopped_are_kept(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    """All are in one shard, which is stopped in its third image."""
    out, clf = tmp_path / "t.parquet", open_network(RESIDUAL, "cpu")

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(evaluating(clf, folder, out, progress=stop))
    first, *others = evaluating(clf, folder, out)
    assert (first.done, len(others)) == (4, 1)
    assert out.read_bytes() == unbroken


def test_a_network_that_others_cannot_load_is_refused(folder: Path, tmp_path: Path) -> None:
    with (
        Processes(workers=1) as engine,
        pytest.raises(ModelError, match=r"tiny plain is known to this process alone.*load_model"),
    ):
        next(evaluating(tiny_classifier("plain"), folder, tmp_path / "t.parquet", engine=engine))


def test_a_network_knows_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clf = load_model("shufflenet_v2_x1_0", weights="random", seed=3, device="cpu")
    assert clf.origin == Origin("shufflenet_v2_x1_0", "random", 3)
    assert clf.refitted("stretch").origin == clf.origin
    assert Network.of(clf.refitted("stretch")).fit == "stretch"
    assert clf.changed(clf.network, name="changed").origin is None
    assert tiny_classifier("plain").origin is None
    again = Worker("cpu").classifier(Network.of(clf.refitted("stretch")))
    assert (again.name, again.preprocessing.fit) == (clf.name, "stretch")


def test_a_function_must_return_a_network() -> None:
    with pytest.raises(ModelError, match="returned a str"):
        open_network(Origin(function="tests.engine.networks:no_network"))


def shard(*names: str) -> Shard:
    params = {"grad-cam": METHODS["grad-cam"].validate({})}
    work = Work(Place.of("photos"), asked(params), asked({}), None, 0, "float32")
    units = tuple(Unit(place, Photo(name, 1, 0)) for place, name in enumerate(names))
    return Shard(Network(RESIDUAL, "crop"), work, units)


def test_tasks_are_plain_data() -> None:
    task = shard("a.png", "b.png")
    assert pickle.loads(pickle.dumps(task)) == task
    assert len({task, shard("a.png", "b.png"), shard("a.png")}) == 2
    with pytest.raises(FrozenInstanceError):
        task.units = ()


def test_halves_keep_together_what_is_explained_together() -> None:
    task = replace(shard(*"abcdefg"), together=3)
    names = [[unit.name for unit in half.units] for half in task.halves()]
    assert names == [["a", "b", "c"], ["d", "e", "f", "g"]]
    first, second = task.halves()
    assert [[unit.name for unit in half.units] for half in second.halves()] == [["d", "e", "f"], ["g"]]
    assert [[unit.name for unit in half.units] for half in first.halves()] == [["a"], ["b", "c"]]
    assert shard("a").halves() == ()


def test_a_worker_answers_with_events(folder: Path) -> None:
    task = shard(*NAMES[:2])
    task = replace(task, work=replace(task.work, reader=Place.of(folder)))
    worker = Worker("cpu")
    kinds = [type(event) for event in worker.answers(task)]
    assert kinds == [Introduced, Item, Item, Done]
    assert Introduced not in [type(event) for event in worker.answers(task)], "it is known by now"
    (failed,) = worker.answers(replace(task, network=Network(Origin("no-such-network"), "crop")))
    assert isinstance(failed, Failed) and "no-such-network" in failed.reason and not failed.short_of_memory


def test_engines_by_name_and_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMSCOPE_ENGINE", raising=False)
    assert isinstance(open_engine(), Inline)
    monkeypatch.setenv("CAMSCOPE_ENGINE", "processes")
    with open_engine(workers=1) as engine:
        assert isinstance(engine, Processes)
    assert isinstance(open_engine("inline"), Inline)
    with pytest.raises(DeviceError, match="there is no engine 'slurm'"):
        open_engine("slurm")
    monkeypatch.delenv("CAMSCOPE_RAY_ADDRESS", raising=False)
    with pytest.raises(DeviceError, match="needs an address"):
        open_engine("ray")


def test_other_weights_than_the_table_will_name_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is in this process, but speaks as those elsewhere do."""
    clf = open_network(RESIDUAL, "cpu")

    class Speaking(Inline):
        def events(self) -> Iterator[Any]:
            for task, event in super().events():
                yield from ((task, told) for told in Worker("cpu").answers(task) if isinstance(told, Introduced))
                yield task, event

    monkeypatch.setitem(vars(plan), "weights_digest", lambda module: "others")
    with pytest.raises(DeviceError, match="a worker has other weights"):
        list(evaluating(clf, folder, tmp_path / "t.parquet", engine=Speaking()))


@pytest.mark.slow
def test_a_photo_that_kills_its_process_is_an_error_row(tmp_path: Path) -> None:
    photos, out = lethal_photos(tmp_path / "photos"), tmp_path / "t.parquet"
    with Processes(workers=1, threads=1) as engine:
        steps = list(evaluating(open_network(LETHAL, "cpu"), photos, out, engine=engine))
    rows = read_rows(out)
    assert {row.note for row in rows if row.image == "c.png"} == {folders._LETHAL}
    assert all(row.value is None and row.image_sha256 for row in rows if row.image == "c.png")
    assert all(row.value is not None for row in rows if row.image != "c.png")
    assert len(rows) == 2 * 4
    assert sum(len(step.warnings) for step in steps) == 2 + 3, "over both, and over one alone"


def workers_of(parent: int) -> list[int]:
    """The processes that serve as its workers, by Linux's own list."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                facts = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(facts[1]) == parent and b"cam_core.engine.process" in command:
                found.append(int(entry.name))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find processes in")


@pytest.mark.slow
@needs_proc
@pytest.mark.usefixtures("small_shards")
def test_a_worker_that_is_killed_changes_nothing(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    with Processes(workers=2, threads=1) as engine:
        steps = evaluating(open_network(RESIDUAL, "cpu"), folder, out, engine=engine)
        next(steps)
        for worker in workers_of(os.getpid()):
            os.kill(worker, signal.SIGKILL)
        list(steps)
    assert out.read_bytes() == unbroken


@pytest.mark.slow
@needs_proc
def test_a_driver_that_is_killed_leaves_no_worker_and_is_resumed(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    out = tmp_path / "t.parquet"
    driver = subprocess.Popen([sys.executable, "-m", "tests.engine.driver", str(folder), str(out)], cwd=ROOT)
    parts = out.with_name("t.parquet.parts")
    until = time.monotonic() + 120
    while not list(parts.glob("*.parquet")) and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    workers = workers_of(driver.pid)
    assert workers
    driver.kill()
    driver.wait()
    while any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers) and time.monotonic() < until:
        time.sleep(0.01)
    assert time.monotonic() < until, "workers outlive their driver"
    assert not out.exists()
    with Processes(workers=1, threads=1) as engine:
        plan_steps = list(evaluating(open_network(RESIDUAL, "cpu"), folder, out, engine=engine))
    assert plan_steps[0].done >= 2
    assert out.read_bytes() == unbroken


@pytest.mark.slow
def test_cancelling_ends_the_workers_and_keeps_what_is_done(folder: Path, unbroken: bytes, tmp_path: Path) -> None:
    out, clf = tmp_path / "t.parquet", open_network(RESIDUAL, "cpu")

    def stop(done: int, total: int) -> None:
        if done >= 2:
            raise Cancelled

    with Processes(workers=2, threads=1) as engine:
        with pytest.raises(Cancelled):
            list(evaluating(clf, folder, out, engine=engine, progress=stop))
        first = next(steps := evaluating(clf, folder, out, engine=engine))
        assert first.done >= 2 and len(first.rows) >= 4
        list(steps)
    assert out.read_bytes() == unbroken


def test_the_lethal_network_is_harmless_otherwise() -> None:
    assert open_network(LETHAL, "cpu").predict(Image.new("RGB", (30, 24), "grey"))
