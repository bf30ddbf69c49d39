"""`explain` at work: what it prints, what it writes, and that the record repeats the result."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cam_core import Explanation, explain, load_image, load_model
from cam_core.analysis.agreement import rank_agreement
from cam_core.images import SAMPLES, image_digest, sample
from cam_core.overlay import AGAINST_UNEVEN
from cam_core.version import versions
from tests.cli.calls import Call, run
from tests.images.dicom_files import dicom
from tests.tiny import TINY, tiny_classifier

ROOT = Path(__file__).parents[2]


def table(output: str) -> list[dict[str, str]]:
    """Tab-separated lines under a header."""
    names, *rows = (line.split("\t") for line in output.splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


def read(path: Path) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return record


@pytest.mark.usefixtures("tiny_network")
def test_prints_one_line_a_method_in_the_order_asked_for(succeed: Call, photo: Path) -> None:
    """Although the expensive one is computed last."""
    result = succeed("explain", photo, "--method", "score-cam", "-M", "grad-cam", "-M", "score-cam", "--class", 2)
    rows = table(result.stdout)
    assert [row["method"] for row in rows] == ["Score-CAM", "Grad-CAM"]
    probability = tiny_classifier("plain").predict(load_image(photo), top=None)
    (expected,) = (one.probability for one in probability if one.index == 2)
    for row in rows:
        assert row["class"] == "class 2"
        assert row["layer"] == TINY["plain"].layers[-1]
        assert float(row["probability"]) == pytest.approx(expected, abs=1e-4)
        assert int(row["tail passes"]) >= 1


@pytest.mark.usefixtures("tiny_network")
def test_a_dicom_file_and_16_bits_reach_the_network_with_all_their_levels(succeed: Call, tmp_path: Path) -> None:
    """The record names what the network was given: pictures that differ in the low byte alone are two."""
    values = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64 // 256 * 256
    files = {"low.png": values, "high.png": values + 255}
    for name, pixels in files.items():
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "scan.dcm").write_bytes(dicom(values + 255, WindowCenter=32768, WindowWidth=65536))
    given = []
    for name in (*files, "scan.dcm"):
        succeed("explain", tmp_path / name, "-M", "grad-cam", "--json", tmp_path / "record.json")
        given.append(read(tmp_path / "record.json")["explanations"][0]["image_sha256"])
    assert given[0] != given[1] == given[2]


@pytest.mark.usefixtures("tiny_network")
def test_a_letterbox_is_asked_for_and_stated(succeed: Call, refuse: Call, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 120, 3), np.uint8)).save(tmp_path / "wide.png")
    record, figure = tmp_path / "record.json", tmp_path / "figure.svg"
    succeed("explain", tmp_path / "wide.png", "--resize", "letterbox", "--json", record, "--out", figure)
    assert read(record)["preprocessing"]["fit"] == "letterbox"
    size = tiny_classifier("plain").input_size
    rows = round(30 * size[1] / 120)
    top = (size[0] - rows) // 2
    assert read(record)["explanations"][0]["picture"] == [0, top, size[1], top + rows]
    succeed("explain", tmp_path / "wide.png", "--json", record)
    assert (read(record)["preprocessing"]["fit"], read(record)["explanations"][0]["picture"]) == ("crop", None)
    assert "'squash' is not one of crop, letterbox, stretch" in refuse("explain", "dog", "--resize", "squash")


@pytest.mark.usefixtures("tiny_network")
def test_agreement_and_top_classes_are_those_of_the_core(succeed: Call, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    result = succeed("explain", photo, "-M", "grad-cam", "-M", "fake-cam", "-M", "eigen-cam", "-c", 2, "--json", path)
    clf, image = tiny_classifier("plain"), load_image(photo)
    methods = ("grad-cam", "fake-cam", "eigen-cam")
    expected = rank_agreement([explain(clf, image, method=method, target=2).map for method in methods])
    np.testing.assert_allclose(np.array(read(path)["agreement"]), expected, atol=1e-5)
    assert f"Grad-CAM and Eigen-CAM: rank correlation {expected[0, 2]:z.2f}" in result.stderr
    top = read(path)["top_classes"]
    assert [entry["index"] for entry in top] == [one.index for one in clf.predict(image, top=5)]
    assert "rank correlation" not in succeed("explain", photo).stderr


@pytest.mark.usefixtures("tiny_network")
def test_default_is_lift_cam_of_the_most_probable_class(succeed: Call, photo: Path) -> None:
    (row,) = table(succeed("explain", photo).stdout)
    assert row["method"] == "LIFT-CAM"
    assert row["class"] == tiny_classifier("plain").predict(load_image(photo), top=1)[0].label


@pytest.mark.usefixtures("tiny_network")
def test_record_round_trips_and_repeats_the_result(succeed: Call, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    succeed(
        *("explain", photo, "-M", "random", "-M", "opti-cam", "-M", "grad-cam", "--class", "CLASS 3", "--seed", 7),
        *("--layer", "features.1", "--param", "opti-cam:steps=4", "--weights", "random", "--weights-seed", 3),
        *("--json", target),
    )
    record = read(target)
    assert record["versions"] == versions()
    assert set(versions()) >= {"camscope", "python", "torch"}
    assert record["image"] == {"source": str(photo), "size": [40, 32], "sha256": image_digest(load_image(photo))}
    assert record["model"] == {"name": "efficientnet_lite0", "weights": "random", "weights_seed": 3}
    clf = tiny_classifier("plain")
    for entry in record["explanations"]:
        read_back = Explanation.from_dict(entry)
        assert read_back.to_dict() == entry
        again = explain(
            clf,
            load_image(photo),
            method=read_back.method,
            layer=read_back.layer,
            target=read_back.target,
            seed=read_back.seed,
            precision=read_back.precision,
            **read_back.params,
        )
        assert read_back.seed == 7 and read_back.layer == "features.1" and read_back.label == "class 3"
        assert np.array_equal(read_back.map, again.map)
        assert np.array_equal(read_back.saliency, again.saliency)
        assert read_back.image_sha256 == again.image_sha256
    assert record["explanations"][1]["params"]["steps"] == 4
    assert len(record["explanations"][1]["extras"]["trace"]) <= 4


@pytest.mark.usefixtures("tiny_network")
def test_seed_decides_what_is_random(succeed: Call, photo: Path, tmp_path: Path) -> None:
    found = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.json"
        succeed("explain", photo, "-M", "random", "--seed", seed, "--json", path)
        found.append(read(path)["explanations"][0]["map"])
    assert found[0] == found[1] != found[2]


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize(
    "options", [(), ("--signed",), ("--signed", "--colormap", "PuOr_r"), ("--colormap", "cividis")]
)
def test_figure_is_as_wide_as_asked_for(succeed: Call, photo: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    path = tmp_path / "figure.png"
    result = succeed("explain", photo, "-M", "grad-cam", "--width", 85, "--out", path, *options)
    with Image.open(path) as picture:
        assert picture.width == int(85 / 25.4 * 300)
    assert result.stderr == f"wrote {path}\n"


@pytest.mark.usefixtures("tiny_network")
def test_jet_is_drawn_for_whoever_asks_and_the_reason_against_it_is_told(
    succeed: Call, photo: Path, tmp_path: Path
) -> None:
    result = succeed("explain", photo, "-M", "grad-cam", "--colormap", "jet", "--out", tmp_path / "figure.png")
    assert f"jet: {AGAINST_UNEVEN}" in result.stderr


@pytest.mark.usefixtures("tiny_network")
def test_sample_by_name_is_the_sample_file_but_a_file_of_that_name_wins(
    succeed: Call, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = SAMPLES[0].key
    monkeypatch.chdir(tmp_path)
    succeed("explain", key, "--json", "by-name.json")
    succeed("explain", SAMPLES[0].path, "--json", "by-path.json")
    by_name, by_path = (read(tmp_path / f"{name}.json")["image"]["sha256"] for name in ("by-name", "by-path"))
    assert by_name == by_path == image_digest(sample(key).open())
    photo.rename(tmp_path / key)
    succeed("explain", key, "--json", "by-file.json")
    assert read(tmp_path / "by-file.json")["image"]["size"] == [40, 32]


@pytest.mark.usefixtures("tiny_network")
def test_several_layers_for_the_method_that_combines_them(succeed: Call, photo: Path) -> None:
    result = succeed(
        *("explain", photo, "-M", "grad-cam", "-M", "refine-cam"),
        *("-l", "features.3", "-l", "refine-cam:features.1", "-l", "refine-cam:features.3"),
    )
    assert [row["layer"] for row in table(result.stdout)] == ["features.3", "features.1 + features.3"]


@pytest.mark.usefixtures("tiny_network")
def test_constant_image_gives_a_result_and_says_what_is_wrong_with_it(
    succeed: Call, photo: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (32, 32), "grey").save(photo)
    record = tmp_path / "record.json"
    result = succeed("explain", photo, "-M", "fake-cam", "-M", "eigen-cam", "-M", "score-cam", "--json", record)
    for entry in read(record)["explanations"]:
        assert np.isfinite(entry["map"]).all() and np.isfinite(entry["saliency"]).all()
        for warning in entry["warnings"]:
            assert warning in result.stderr


def test_warnings_go_to_stderr_under_the_methods_name(
    succeed: Call, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clf = tiny_classifier("plain")
    with_bias = clf.module.get_submodule("fc")
    with_bias.bias.data[1] -= 20.0
    monkeypatch.setattr("cam_core.cli.inputs.load_model", lambda *_, **__: clf)
    result = succeed("explain", photo, "-M", "grad-cam", "--class", 1)
    assert len(result.stdout.splitlines()) == 2
    assert "Grad-CAM: The network gives this class a probability of" in result.stderr


def test_own_weights_are_named_by_their_digest(succeed: Call, photo: Path, tmp_path: Path) -> None:
    import hashlib

    from safetensors.torch import save_file

    weights = tmp_path / "own.safetensors"
    save_file(load_model("squeezenet1_1", weights="random").module.state_dict(), weights)
    record = tmp_path / "record.json"
    succeed("explain", photo, "-m", "squeezenet1_1", "--weights", weights, "-M", "layer-cam", "--json", record)
    found = read(record)
    assert found["model"]["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert found["explanations"][0]["model"] == "squeezenet1_1 (own.safetensors)"


@pytest.mark.usefixtures("tiny_network")
def test_interrupt_is_one_line_and_exit_code_130(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cam_core.cli.explain.explain_image", interrupted)
    result = run("explain", photo, "--json", tmp_path / "record.json")
    assert result.exit_code == 130
    assert result.stderr == "error: interrupted\n"
    assert not (tmp_path / "record.json").exists()


def test_bundled_network_from_a_shell(tmp_path: Path) -> None:
    """The real thing: a process of its own, the bundled weights, every format at once."""
    outputs = [tmp_path / f"figure.{ending}" for ending in ("png", "pdf", "svg")]
    done = subprocess.run(
        [sys.executable, "-m", "cam_core", "explain", "dog", "-M", "grad-cam", "-M", "lift-cam"]
        + [part for path in outputs for part in ("--out", str(path))]
        + ["--json", str(tmp_path / "record.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {row["class"] for row in table(done.stdout)} == {"German shepherd"}
    png, pdf, svg = (path.read_bytes() for path in outputs)
    assert png.startswith(b"\x89PNG") and struct.unpack(">I", png[16:20])[0] == int(174 / 25.4 * 300)
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert b"<svg" in svg and b"German shepherd" in svg
    record = read(tmp_path / "record.json")
    maps = [Explanation.from_dict(entry) for entry in record["explanations"]]
    assert [one.method for one in maps] == ["grad-cam", "lift-cam"]
    assert all(one.probability > 0.9 and one.saliency.max() == 1 for one in maps)


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.slow
def test_compiling_is_for_slow_methods_and_changes_no_map(
    succeed: Call, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def spy(*arguments: Any, method: str, compiled: bool, **options: Any) -> Explanation:
        asked.append((method, compiled))
        return explain(*arguments, method=method, compiled=compiled, **options)

    monkeypatch.setattr("cam_core.cli.explain.explain_image", spy)
    found = []
    for number, switches in enumerate(((), ("--compiled",))):
        path = tmp_path / f"{number}.json"
        succeed("explain", photo, "-M", "score-cam", "-M", "grad-cam", *switches, "--json", path)
        found.append(np.array(read(path)["explanations"][0]["map"]))
    assert sorted(asked) == [("grad-cam", False), ("grad-cam", False), ("score-cam", False), ("score-cam", True)]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-5)
