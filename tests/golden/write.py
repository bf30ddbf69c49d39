"""Measure the golden numbers anew, say what has changed, and write the file: `python -m tests.golden.write`."""

from __future__ import annotations

import torch

from tests.golden import stored
from tests.golden.comparing import differences
from tests.golden.measuring import NETWORKS, measure


def main() -> None:
    torch.set_num_threads(1)  # the same file whatever the machine is busy with
    measured = {key: record for name in NETWORKS for key, record in measure(name).items()}
    changed = differences(stored.read(), measured)
    stored.FILE.write_text(stored.text(measured), encoding="utf-8")
    print(*changed, sep="\n")
    print(f"{len(changed)} differences beyond the tolerances; {len(measured)} results written to {stored.FILE.name}")


if __name__ == "__main__":
    main()
