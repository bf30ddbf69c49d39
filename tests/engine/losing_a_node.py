"""A process that evaluates a folder on a cluster of its own, whole and once more while a node is lost.

    python -m tests.engine.losing_a_node FOLDER OUT

Tables are whole.parquet and broken.parquet in OUT; it prints how many nodes with cores Ray still counts. A process of
its own, because each connects to one cluster in its life.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cam_core.engine.actors import Actors, _ray
from cam_core.engine.worker import open_network
from cam_core.evaluation import plan
from cam_core.evaluation.folder import evaluate_folder
from tests.engine.asked import ASKED, RESIDUAL


def main(folder: Path, out: Path) -> None:
    ray = _ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):  # of one core each, beside a head that computes nothing
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    plan._MOST_IMAGES = 1  # type: ignore[misc]
    clf = open_network(RESIDUAL, "cpu")
    with Actors(cluster.address) as engine:
        list(evaluate_folder(clf, folder, **ASKED, out=out / "whole.parquet", engine=engine))
        steps = evaluate_folder(clf, folder, **ASKED, out=out / "broken.parquet", engine=engine)
        next(steps)
        lost, *_ = cluster.worker_nodes
        cluster.remove_node(lost, allow_graceful=False)
        list(steps)
    while (nodes := sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())) > 1:
        time.sleep(0.2)  # until Ray has noticed
    print(f"\nnodes with cores: {nodes}", flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
