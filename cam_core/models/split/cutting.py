"""A traced network's graph cut in two after a node."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

from torch import fx

from cam_core.models.split.tracing import Traced
from cam_core.types import LayerError


def cut(
    traced: Traced, node: fx.Node, tensors: Container[fx.Node], layer: str
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Head, which returns the node's value and what else crosses the cut, and tail, which takes them: see `split`.

    Args:
        tensors: the nodes whose values are tensors: nothing else crosses.
    Raises:
        LayerError: the logits do not depend on the node.
    """
    graph = traced.graph
    after = _descendants(graph.nodes, {node})
    dependent = _descendants(graph.nodes, {n for n in graph.nodes if n.op == "placeholder"})
    output = next(n for n in graph.nodes if n.op == "output")
    if output not in after:
        raise LayerError(f"the logits do not depend on the layer {layer!r}")

    def crosses(n: fx.Node) -> bool:
        # Only tensors that depend on the image cross: parameters, sizes and constants are recomputed in the tail, whose
        # batch may differ from the head's.
        return n is node or (n not in after and n in dependent and n in tensors)

    tail_nodes, crossing = _needed(output, crosses)
    context = [n for n in graph.nodes if n in crossing and n is not node]
    head_nodes, _ = _needed_for([node, *context])
    head = _subgraph(graph, head_nodes, [], lambda env: (env[node], tuple(env[n] for n in context)))
    tail = _subgraph(graph, tail_nodes - {output}, [node, *context], lambda env: fx.map_arg(output.args[0], env.get))
    return fx.GraphModule(traced.module, head), fx.GraphModule(traced.module, tail)


def _descendants(nodes: Iterable[fx.Node], roots: set[fx.Node]) -> set[fx.Node]:
    descendants = set(roots)
    for node in nodes:  # in topological order
        if any(source in descendants for source in node.all_input_nodes):
            descendants.add(node)
    return descendants


def _needed(output: fx.Node, crosses: Callable[[fx.Node], bool]) -> tuple[set[fx.Node], set[fx.Node]]:
    """Nodes to compute for `output`, and those at which the search stopped because they cross the cut."""
    inside: set[fx.Node] = set()
    crossing: set[fx.Node] = set()
    pending = [output]
    while pending:
        current = pending.pop()
        if current in inside or current in crossing:
            continue
        if crosses(current):
            crossing.add(current)
            continue
        inside.add(current)
        pending.extend(current.all_input_nodes)
    return inside, crossing


def _needed_for(outputs: list[fx.Node]) -> tuple[set[fx.Node], set[fx.Node]]:
    inside: set[fx.Node] = set()
    for output in outputs:
        inside |= _needed(output, lambda _node: False)[0]
    return inside, set()


def _subgraph(
    graph: fx.Graph, nodes: set[fx.Node], inputs: list[fx.Node], output: Callable[[dict[fx.Node, fx.Node]], Any]
) -> fx.Graph:
    """A new graph of `nodes` in their order, with `inputs` as its placeholders."""
    part = fx.Graph()
    env: dict[fx.Node, fx.Node] = {}
    for position, node in enumerate(inputs):
        env[node] = part.placeholder(f"crossing_{position}")
    for node in graph.nodes:
        if node in nodes and node not in env:
            env[node] = part.node_copy(node, lambda source: env[source])
    part.output(output(env))
    part.lint()
    return part
