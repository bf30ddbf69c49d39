"""Train the small vision transformer that comes along, on the built-in digits.

    python -m scripts.train_vit [--out runs/vit]    # on one CPU core; goes on where it was broken off

AdamW, since transformers learn poorly by the plain gradient descent of `python -m cam_core train`; data, augmentation,
schedule and checkpoint are that command's. What is kept is the network of the last epoch, whatever its accuracy.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional

from cam_core.files import write_whole
from cam_core.models.trainable.checkpoints import save_checkpoint
from cam_core.models.trainable.vit import VisionTransformer, VitRecipe, build_vit
from cam_core.training import TrainingData, open_data
from cam_core.training.batches import batch_count, evaluation_batches, training_batches
from cam_core.training.schedule import learning_rate

NAME = "vit_digits.safetensors"
STATE = "state.pt"


@dataclass(frozen=True)
class Settings:
    """All numbers of the run beside the network's own.

    Attributes:
        count: training images; each of the 4,000 digits is in several of them, elsewhere and in other company.
        highest_rate: the learning rate after the warm-up; it falls to zero by a cosine.
        longest_step: gradients are scaled down to this norm.
    """

    seed: int = 0
    data_seed: int = 0
    count: int = 12_000
    epochs: int = 14
    batch_size: int = 32
    highest_rate: float = 2e-3
    weight_decay: float = 0.05
    longest_step: float = 1.0


def train(settings: Settings, out: Path) -> None:
    """All epochs that are not yet done, each saved; then the checkpoint with its card."""
    torch.set_num_threads(1)  # the numbers are the same again on the same processor
    data = open_data("digits", seed=settings.data_seed, count=settings.count)
    network = build_vit(VitRecipe(len(data.classes), data.size), seed=settings.seed)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    out.mkdir(parents=True, exist_ok=True)
    done = resumed(out / STATE, network, optimiser)
    for epoch in range(done, settings.epochs):
        started = time.perf_counter()
        loss = learn(network, optimiser, data, settings, epoch)
        right = accuracy(network, data)
        state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch + 1}
        write_whole(out / STATE, lambda draft, state=state: torch.save(state, draft))
        seconds = time.perf_counter() - started
        print(f"{epoch + 1}/{settings.epochs} loss {loss:.3f} held out {right:.3f} {seconds:.0f} s", flush=True)
    save_checkpoint(out / NAME, network, card(data, settings, accuracy(network, data)))


def resumed(path: Path, network: VisionTransformer, optimiser: torch.optim.Optimizer) -> int:
    """The number of epochs that are done; what they made is in network and optimiser."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["epoch"])


def learn(
    network: VisionTransformer, optimiser: torch.optim.Optimizer, data: TrainingData, settings: Settings, epoch: int
) -> float:
    """One pass over the training images: their mean loss."""
    network.train()
    generator = torch.Generator().manual_seed(1000 * settings.seed + epoch)
    steps, size, total = batch_count(len(data.train), settings.batch_size), settings.batch_size, 0.0
    batches = training_batches(data.train, data.preprocessing, size, generator, augment=True, flip=data.flip)
    for index, (images, labels) in enumerate(batches):
        rate = learning_rate(settings.highest_rate, "cosine", epoch * steps + index, settings.epochs * steps)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = functional.cross_entropy(network(images), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.longest_step)
        optimiser.step()
        total += float(loss.detach()) / steps
    return total


@torch.no_grad()
def accuracy(network: VisionTransformer, data: TrainingData) -> float:
    """Share of right answers on the held-out images."""
    network.eval()
    batches = evaluation_batches(data.held_out, data.preprocessing, 250)
    return sum(int((network(images).argmax(1) == labels).sum()) for images, labels in batches) / len(data.held_out)


def card(data: TrainingData, settings: Settings, right: float) -> dict[str, object]:
    """What the checkpoint's card states beside the construction."""
    return {
        "labels": list(data.classes),
        "preprocessing": data.preprocessing,
        "data": data.name,
        "seed": settings.seed,
        "accuracy": right,
        "epoch": settings.epochs,
        "training": asdict(settings) | {"optimiser": "AdamW", "augment": True, "device": "cpu", "threads": 1},
        "images": {"train": len(data.train), "held_out": len(data.held_out)} | data.facts,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/vit"))
    train(Settings(), parser.parse_args().out)
