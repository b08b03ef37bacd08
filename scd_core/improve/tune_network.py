"""A network in two parts: first blocks that stay as they are and are run once, and last blocks that learn."""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from scd_core.identify.architectures import last_linear
from scd_core.identify.classifier import Classifier

__all__ = ["Parted", "part_network"]


@dataclass(frozen=True)
class Parted:
    """A network's copy in two parts, in eval mode: batch normalisation keeps its statistics, and nothing is dropped out."""

    first: nn.Module
    """(B, 3, H, W) normalised -> what the last part reads; nothing in it learns."""
    last: nn.Module
    """What the first part gives -> (B, K) logits."""
    head: str
    """Name of the last linear layer."""
    blocks: tuple[str, ...]
    """Names of the blocks that learn, the head last."""

    def learning(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by their names in the network."""
        return {name: one for name, one in self.last.named_parameters() if one.requires_grad}


def part_network(classifier: Classifier, n_names: int, n_blocks: int) -> Parted:
    """Part a copy of the model's network before its last blocks, and give it a new head.

    Blocks are what the network's own sequences hold, each with a matrix of weights: of mobilenet_v2 the 19 of `features`, of a
    ResNet the residual blocks, of a ViT its layers. The network is cut at the last value from which alone these blocks are
    reached. Where it cannot be traced (its steps depend on its input) the first part gives the picture as it is, and the whole
    network is run at each step, which takes longer.

    Args:
        classifier: the model, with a linear layer that gives its logits.
        n_names: outputs K of the new head, which is left at random.
        n_blocks: blocks that learn beside the head; all where there are fewer.

    Raises:
        ValueError: the network has no linear layer.
    """
    network = copy.deepcopy(classifier.model)
    head = last_linear(network)
    if head is None:
        raise ValueError("network: has no linear layer")
    parent, _, own = head.rpartition(".")
    old: Any = network.get_submodule(head)
    setattr(network.get_submodule(parent), own, nn.Linear(old.in_features, n_names).to(old.weight))
    network.eval().requires_grad_(False)
    names = [name for name in _blocks(network, "") if not f"{head}.".startswith(f"{name}.")]
    chosen = (*names[len(names) - min(n_blocks, len(names)) :], head)
    for name in chosen:
        network.get_submodule(name).requires_grad_(True)
    if n_blocks > 0:  # layers between the blocks, such as a last normalisation, learn with them
        _unfreeze_after(network, chosen)
    first, last = _cut(network)
    return Parted(first, last, head, chosen)


def _blocks(module: nn.Module, name: str) -> list[str]:
    """Names of the blocks, in their order."""
    found = []
    for own, child in module.named_children():
        full = f"{name}.{own}" if name else own
        if type(child) in (nn.Sequential, nn.ModuleList) or _holds_sequence(child):
            found += _blocks(child, full)
        elif any(one.dim() > 1 for one in child.parameters()):
            found.append(full)
    return found


def _holds_sequence(module: nn.Module) -> bool:
    """A part such as a ViT's encoder: it has a sequence that has most of its weights."""
    whole = sum(one.numel() for one in module.parameters())
    return any(
        _is_long(child) and 2 * sum(one.numel() for one in child.parameters()) > whole for child in module.children()
    )


def _is_long(module: nn.Module) -> bool:
    """A sequence of three blocks or more of one kind."""
    blocks = list(module.children())
    return (
        type(module) in (nn.Sequential, nn.ModuleList) and len(blocks) > 2 and len({type(one) for one in blocks}) == 1
    )


def _unfreeze_after(network: nn.Module, chosen: tuple[str, ...]) -> None:
    is_after = False
    for parameter in network.parameters():
        is_after = is_after or parameter.requires_grad
        if is_after:
            parameter.requires_grad_(True)


def _cut(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both parts; they share the network's tensors."""
    try:
        traced = fx.symbolic_trace(network)
    except Exception:  # noqa: BLE001 - tracing runs the network's own code, which may raise anything
        return nn.Identity(), network
    nodes = list(traced.graph.nodes)
    if sum(node.op == "placeholder" for node in nodes) != 1:
        return nn.Identity(), network
    place = {node: number for number, node in enumerate(nodes)}
    first_learnt = next(number for number, node in enumerate(nodes) if _learns(traced, node))
    alone = [node for node in nodes[:first_learnt] if node.op != "get_attr" and _is_alone(node, nodes, place)]
    return _graph(traced, nodes[: place[alone[-1]] + 1], None, alone[-1]), _graph(
        traced, nodes[place[alone[-1]] + 1 :], alone[-1], None
    )


def _learns(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return any(one.requires_grad for one in traced.get_submodule(str(node.target)).parameters())
    if node.op != "get_attr":
        return False
    found: Any = traced
    for part in str(node.target).split("."):
        found = getattr(found, part)
    return isinstance(found, Tensor) and found.requires_grad


def _is_alone(node: fx.Node, nodes: list[fx.Node], place: dict[fx.Node, int]) -> bool:
    """It is one tensor, and nothing else that was made up to it is read after it, but for stored tensors."""
    before = nodes[: place[node] + 1]
    is_parted = any(user.target is operator.getitem for user in node.users)
    return not is_parted and all(
        one is node or one.op == "get_attr" or all(place[user] <= place[node] for user in one.users) for one in before
    )


def _graph(traced: fx.GraphModule, nodes: list[fx.Node], given: fx.Node | None, gives: fx.Node | None) -> nn.Module:
    """The steps of some nodes; `given` is what they read, `gives` what they give (None: what the network gives)."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    if given is not None:
        copies[given] = graph.placeholder("features")
        for node in traced.graph.nodes:  # stored tensors that were looked up before the cut
            if node.op == "get_attr" and node not in nodes and any(user in nodes for user in node.users):
                copies[node] = graph.node_copy(node, copies.__getitem__)
    for node in nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    if gives is not None:
        graph.output(copies[gives])
    return fx.GraphModule(traced, graph)
