"""How far a visitor may go, on a laptop that serves itself and on a machine that serves a room.

    limits().jobs, limits().folders, …      # those that hold here; every refusal is a sentence that names one of them

A machine serves itself alone where it listens on the loopback address, no proxy stands before it, and the browser asked
for that address: a name that leads there may belong to anybody. Everywhere else nothing of the machine is named from a
browser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

import streamlit as st

# What proxies add.
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "Via")


@dataclass(frozen=True)
class Limits:
    """The limits of one visitor, who is one browser with all its tabs; the defaults are those of a room.

    Attributes:
        folders: whether folders of the machine that the app runs on may be named from a browser, and ONNX files sent,
            which say by themselves how much memory they take.
        jobs: computations at once, running and waiting.
        trainings: trainings at once.
        training_images: images that one training may use.
        photo_bytes: size of one uploaded photo, and of each one in a zip.
        archive_bytes: size of one uploaded zip.
        unpacked_bytes: of the photos in all uploaded zips together.
        networks: networks of one's own in a visit, by name or uploaded; the oldest leave first.
        checkpoint_bytes: size of one uploaded checkpoint. The server's `maxUploadSize` is the same.
        network_bytes: weights of one network of one's own.
        results: results that are kept; the oldest leave first.
        benchmarks: benchmarks at once.
        benchmark_maps: maps that one benchmark may compute: images × methods × networks.
        benchmark_rows: of one uploaded table of results.
    """

    folders: bool = False
    jobs: int = 32
    trainings: int = 1
    training_images: int = 5_000
    photo_bytes: int = 25 << 20
    archive_bytes: int = 50 << 20
    unpacked_bytes: int = 400 << 20
    networks: int = 4
    checkpoint_bytes: int = 200 << 20
    network_bytes: int = 600 << 20
    results: int = 128
    benchmarks: int = 1
    benchmark_maps: int = 2_000
    benchmark_rows: int = 200_000


ROOM = Limits()
"""Where others can reach the app."""

ALONE = replace(
    ROOM,
    folders=True,
    training_images=50_000,
    unpacked_bytes=4 << 30,
    networks=32,
    network_bytes=4 << 30,
    results=512,
    benchmark_maps=5_000_000,
    benchmark_rows=5_000_000,
)
"""Where only the machine itself can."""


def limits() -> Limits:
    """The limits that hold for whoever looks at the page."""
    return ALONE if _serves_itself() else ROOM


def _serves_itself() -> bool:
    headers = st.context.headers
    return (
        _is_loopback(st.get_option("server.address"))
        and not any(name in headers for name in _FORWARDED)
        and _names_loopback(f"//{headers.get('Host', 'localhost')}")
        and _names_loopback(headers.get("Origin", "//localhost"))
    )


def _names_loopback(url: str) -> bool:
    try:
        return _is_loopback(urlsplit(url).hostname)
    except ValueError:
        return False


def _is_loopback(address: str | None) -> bool:
    """False for no address at all, where Streamlit listens on all of them, and for names and sockets."""
    if address == "localhost":
        return True
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False
