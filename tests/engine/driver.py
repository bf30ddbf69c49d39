"""A driver to be killed: `python -m tests.engine.driver FOLDER TABLE`; it waits for that after its first shard."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cam_core.engine.processes import Processes
from cam_core.engine.worker import open_network
from cam_core.evaluation import plan
from cam_core.evaluation.folder import evaluate_folder
from cam_core.models.origin import Origin

if __name__ == "__main__":
    plan._MOST_IMAGES = 1
    clf = open_network(Origin(function="tests.engine.networks:residual"), "cpu")
    asked = {"methods": ["grad-cam", "random"], "metrics": ["average-drop", "complexity"]}
    with Processes(workers=2, threads=1) as engine:
        for _ in evaluate_folder(clf, Path(sys.argv[1]), **asked, out=Path(sys.argv[2]), engine=engine):
            time.sleep(600)
