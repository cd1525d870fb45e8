"""An experiment for sweeps, registered from outside: it squares a number, waits, fails, or has its worker killed."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import pandas as pd

import rp_tutorial as rp
from rp_tutorial.experiments.engine.experiment import Kind


@dataclasses.dataclass(frozen=True)
class Squares:
    x: float = 1.0
    fails: bool = False
    kills: int = 0  # so many workers, each of which leaves a mark in `folder`
    folder: str = ""
    seconds: float = 0.0
    device: str = "cpu"


class SquareLab(rp.experiments.Lab):
    settings: Squares

    def prepare(self) -> None:
        self.key["factor"] = self.factor = 1.0 if self.data == "synthetic" else float(Path(self.data).read_text())

    def square(self) -> float:
        s = self.settings
        if s.fails:
            raise RuntimeError("no square today")
        time.sleep(s.seconds)
        marks = len(list(Path(s.folder).glob(f"killed-{s.x}-*"))) if s.kills else 0
        if marks < s.kills:
            Path(s.folder, f"killed-{s.x}-{marks}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.factor * s.x**2


def run(lab: SquareLab) -> dict:
    return {"square": lab.stage("square", lab.square), "seed": lab.seed}


PROFILES = {name: Squares() for name in ("smoke", "cpu", "gpu", "paper")}
EXPERIMENT = rp.register(
    rp.experiments.Experiment(
        "squares", SquareLab, run, PROFILES, Kind(lambda: ("synthetic", "a file"), bool, str),
        lambda results: {"squares": pd.DataFrame([results])}, str, dict.fromkeys(PROFILES, "nothing"),
    )
)  # fmt: skip
