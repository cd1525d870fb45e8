"""A long run that is over in milliseconds, registered from outside: a net, a plain stage, an attack with a state."""

import dataclasses
import time
from pathlib import Path

import pandas as pd
import torch
from cells import SHORT, TARGETS, CellOracle, identity, latents
from torch import nn

import rp_tutorial as rp


@dataclasses.dataclass(frozen=True)
class Walks:
    marks: str = ""  # a file that gets a line for every training
    seconds: float = 0.0
    device: str = "cpu"


SILENT = ("marks", "seconds")  # no result depends on them
ATTACK = dataclasses.replace(SHORT, patience=100, rejected_limit=None, max_iterations=24)


class WalkLab(rp.experiments.Lab):
    """Centres from a trained net; an oracle that answers at random and is part of the state of the walk."""

    settings: Walks

    def centres(self) -> torch.Tensor:
        net = nn.Linear(3, 6)
        return self.weights("centres", net, lambda: self.train(net), {}).weight.detach()

    def train(self, net: nn.Module) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        for value in net.parameters():
            value.data = 1.2 * torch.randn(value.shape, generator=generator)
        if self.settings.marks:
            with Path(self.settings.marks).open("a") as file:
                file.write("trained\n")
        time.sleep(self.settings.seconds)

    def walk(self, state: Path) -> dict:
        found = rp.invert(
            CellOracle(self.centres(), noise=0.8, seed=self.seed), identity, TARGETS, seed=self.seed,
            candidates=latents(64), settings=ATTACK, save_every=6, state_path=state,
        )  # fmt: skip
        return {"kept": found.accepted.tolist(), "end": found.z.double().tolist()}


def run(lab: WalkLab) -> dict:
    sums = lab.stage("sums", lambda: lab.centres().double().sum(dim=1).tolist(), without=SILENT)
    return {"sums": sums, "walk": lab.stage("walk", lab.walk, without=SILENT)}


def tables(results: dict) -> dict[str, pd.DataFrame]:
    return {"sums": pd.DataFrame({"sum": results["sums"]}), "kept": pd.DataFrame({"kept": results["walk"]["kept"]})}


PROFILES = dict.fromkeys(("smoke", "cpu", "gpu", "paper"), Walks())
EXPERIMENT = rp.register(
    rp.experiments.Experiment(
        "walks", WalkLab, run, PROFILES, rp.experiments.NO_DATA, tables, str, dict.fromkeys(PROFILES, "nothing")
    )
)
