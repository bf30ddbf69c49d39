"""A long short-term memory, taken apart into the sums, products and activation functions that have rules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from cam_core.types import UnsupportedOperation


def lstm(
    value: Tensor,
    states: Sequence[Tensor] | Tensor,
    weights: Sequence[Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    both_ways: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """`torch.nn.LSTM` over (T, B, D), or (B, T, D), as torch documents it, in evaluation mode.

    Raises:
        UnsupportedOperation: it projects its states, or its sequences are packed.
    """
    ways, each = 1 + both_ways, 4 if has_biases else 2
    if isinstance(states, Tensor) or len(weights) != layers * ways * each:
        raise UnsupportedOperation("there is a rule for an LSTM only without projections and over unpacked sequences")
    sequence = value.transpose(0, 1) if batch_first else value
    last_hidden, last_cells = [], []
    for layer in range(layers):
        walked = []
        for row in range(ways * layer, ways * (layer + 1)):
            backwards = row % ways == 1
            start, parameters = (states[0][row], states[1][row]), weights[each * row : each * (row + 1)]
            steps, cell = _walked(sequence.flip(0) if backwards else sequence, *start, *parameters)
            last_hidden.append(steps[-1])
            last_cells.append(cell)
            walked.append(torch.stack(steps[::-1] if backwards else steps))
        sequence = torch.cat(walked, -1)
    out = sequence.transpose(0, 1) if batch_first else sequence
    return out, torch.stack(last_hidden), torch.stack(last_cells)


def _walked(
    sequence: Tensor,
    hidden: Tensor,
    cell: Tensor,
    of_input: Tensor,
    of_hidden: Tensor,
    bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[list[Tensor], Tensor]:
    """The hidden state (B, H) of each step, and the last cell state (B, H)."""
    steps = []
    for brought in functional.linear(sequence, of_input, bias).unbind(0):
        gates = brought + functional.linear(hidden, of_hidden, hidden_bias)
        taken, kept, new, told = gates.chunk(4, -1)
        cell = kept.sigmoid() * cell + taken.sigmoid() * new.tanh()
        hidden = told.sigmoid() * cell.tanh()
        steps.append(hidden)
    return steps, cell
