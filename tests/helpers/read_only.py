"""Stages that only read: for tests that a second run computes nothing."""

from __future__ import annotations

from rp_tutorial.experiments.engine.stages import Stages


class ReadOnly(Stages):
    """Refuses to compute anything: what is asked for must be remembered."""

    def result(self, name, key, compute):
        return super().result(name, key, self._refused)

    def weights(self, name, key, net, train, *, owner):
        raise AssertionError(f"{name} was asked for")

    def _refused(self, state):
        raise AssertionError("a remembered stage was computed again")
