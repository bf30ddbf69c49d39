"""What a worker's values depend on beside its tasks: workers that differ in it would give a table of two minds."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from cam_core.models.classifier import Classifier
from cam_core.models.origin import weights_digest
from cam_core.types import DeviceError
from cam_core.version import versions

FINEST = 1e-5
"""Values of different hardware, or of other numbers of threads, differ by up to that share of their range."""

# What no tolerance covers: other weights or other programs give other values, by nobody knows how much.
_DECISIVE = ("weights", "versions")


@dataclass(frozen=True)
class Fingerprint:
    """A worker and its network.

    Attributes:
        weights: SHA-256 of the network's weights.
        versions: of what decides a result, by name.
        threads: of torch.
        processor: the CPU's instructions that torch uses, such as "AVX2".
        device: the GPU's model, or "cpu".
    """

    weights: str
    versions: tuple[tuple[str, str], ...]
    threads: int
    processor: str
    device: str

    @classmethod
    def of(cls, clf: Classifier) -> Fingerprint:
        """This process, with a network."""
        cuda = clf.device.type == "cuda"
        return cls(
            weights=weights_digest(clf.module),
            versions=tuple(versions().items()),
            threads=torch.get_num_threads(),
            processor=torch.backends.cpu.get_cpu_capability(),
            device=torch.cuda.get_device_name(clf.device) if cuda else clf.device.type,
        )


def check_alike(expected: Fingerprint, other: Fingerprint, tolerance: float) -> None:
    """Refuse a worker whose values would differ from those of others.

    Args:
        tolerance: how far values of different hardware may be apart, as a share of their range; 0 for not at all.
    Raises:
        DeviceError: the worker differs, by more than is tolerated.
    """
    apart = [field.name for field in fields(Fingerprint) if getattr(expected, field.name) != getattr(other, field.name)]
    if not apart or (tolerance >= FINEST and not set(apart) & set(_DECISIVE)):
        return
    told = "; ".join(f"{name}: {getattr(expected, name)} and {getattr(other, name)}" for name in apart)
    cure = "" if set(apart) & set(_DECISIVE) else f"; a tolerance of {FINEST:g} or more lets hardware differ"
    raise DeviceError(f"the workers are not alike ({told}), so their values would differ{cure}")
