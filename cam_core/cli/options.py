"""Arguments and options that several commands take, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cam_core.images import FITS, SAMPLES

DEFAULT_MODEL: Final = "efficientnet_lite0"

_SAMPLES: Final = ", ".join(sample.key for sample in SAMPLES)

Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help=f"An image file, or the name of a sample photo: {_SAMPLES}.")
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A network: see `models`; any of timm as timm:NAME; a folder of transformers; an ONNX file.",
    ),
]
Weights = Annotated[
    str, typer.Option(help="default (the official ones), random, or a .safetensors or state-dict file.")
]
WeightsSeed = Annotated[int, typer.Option(help="Of random weights.")]
Resize = Annotated[
    str,
    typer.Option(
        help=f"How the photo becomes the network's input: {', '.join(FITS)}. As the network states it if omitted.",
        show_default=False,
    ),
]
Class = Annotated[
    str | None, typer.Option("--class", "-c", help="Class index or label; the most probable one if omitted.")
]
Target = Annotated[
    str | None,
    typer.Option(
        help="To explain in place of a class: 'A - B' (why A and not B), '-A' (what speaks against A), 'A | B' (the "
        "sum of both), 'p(A)' (the probability), 'value' (of a network with one output), or MODULE:FUNCTION of the "
        "logits. A and B are indices or labels.",
        show_default=False,
    ),
]
Methods = Annotated[
    list[str] | None, typer.Option("--method", "-M", help="A method: see `methods`. Repeat for several side by side.")
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        "-l",
        help="A module's name: see `layers`. Repeat for a method over several layers; METHOD:NAME concerns one method.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="KEY=VALUE",
        help="A method's parameter: see `methods KEY`. Repeat for several; METHOD:KEY=VALUE concerns one method.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str, typer.Option(help="float32, tf32 (NVIDIA), bfloat16 or float64 (not on mps).")]
Compiled = Annotated[
    bool, typer.Option("--compiled", help="Compile first (up to a minute): pays for the slowest methods.")
]
Seed = Annotated[int, typer.Option(help="Of everything random in the methods.")]
