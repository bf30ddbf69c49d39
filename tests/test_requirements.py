"""What is required, what was tested and what is explained are three files that must not drift apart."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def requirements(name: str) -> dict[str, Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-"))]
    return {canonicalize_name(entry.name): entry for entry in found}


NEEDED = requirements("requirements.txt") | requirements("requirements-dev.txt")
TESTED = requirements("constraints.txt")


@pytest.mark.parametrize("name", NEEDED)
def test_every_requirement_has_a_lower_bound_and_a_tested_version_above_it(name: str) -> None:
    assert [bound.operator for bound in NEEDED[name].specifier] == [">="]
    (tested,) = TESTED[name].specifier
    assert tested.operator == "=="
    assert NEEDED[name].specifier.contains(tested.version)


def test_constraints_fit_other_machines() -> None:
    """No addresses, no local builds, and nothing of what torch itself pins per platform."""
    for name, entry in TESTED.items():
        assert entry.url is None
        assert "+" not in str(entry.specifier)
        assert not name.startswith(("nvidia-", "cuda-", "triton"))


@pytest.mark.parametrize("name", NEEDED)
def test_every_requirement_has_its_reason(name: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.split("## Dependencies")[1].splitlines() if line.startswith("|")]
    named = {canonicalize_name(word) for row in rows for word in re.split(r"[,\s]+", row.strip()) if word}
    assert name in named


def served_option(name: str) -> Any:
    """What Streamlit makes of its files and of the command that `make app` runs."""
    told = subprocess.run(["make", "--dry-run", "app"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (command,) = [line for line in told.splitlines() if "-m pages" in line]
    assert f"--{name}" not in command, "the command would override the file"
    program = f"import json, streamlit; print(json.dumps(streamlit.get_option({name!r})))"
    asked = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(asked.stdout)


def test_no_run_of_a_page_ends_in_a_collection_of_garbage() -> None:
    """It would hold Python's lock for some 300 ms, twice a second: seconds of work became minutes."""
    assert served_option("runner.postScriptGC") is False


def test_app_listens_on_this_machine_only_and_hides_tracebacks() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["headless"] is True
    assert config["server"]["enableXsrfProtection"] is config["server"]["enableCORS"] is True
    assert config["client"]["showErrorDetails"] == "none"
    assert config["browser"]["gatherUsageStats"] is False


def test_tracebacks_in_the_log_are_those_of_python() -> None:
    """The benchmarks count them."""
    assert served_option("logger.enableRich") is False


def test_pandas_is_whole_before_anybody_draws() -> None:
    """Plotly asks whether pandas is imported, and takes what another visitor's thread has half imported."""
    imports = [
        line.split()[1] for line in (ROOT / "app.py").read_text().splitlines() if line.startswith(("import ", "from "))
    ]
    assert imports.index("pandas") < min(place for place, name in enumerate(imports) if name.startswith("pages"))
