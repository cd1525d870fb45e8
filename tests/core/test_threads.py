"""Threads inside torch: one where it is asked for, and the caller's own number afterwards; work side by side."""

import subprocess
import sys

import pytest
import torch

from rp_tutorial.core.threads import one_thread, side_by_side

CPU = torch.device("cpu")


def test_threads_are_given_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_results_come_in_the_order_of_the_parts():
    assert side_by_side(lambda part: part**2, range(50), device=CPU) == [part**2 for part in range(50)]
    assert side_by_side(lambda part: part**2, [], device=CPU) == []


def test_no_part_records_gradients_and_each_runs_in_the_callers_mode():
    weight = torch.ones(2, requires_grad=True)
    for parts in (range(1), range(8)):
        assert not any(made.requires_grad for made in side_by_side(lambda part: weight * part, parts, device=CPU))
        for inference in (False, True):
            with torch.inference_mode(inference):
                modes = side_by_side(lambda _: torch.is_inference_mode_enabled(), parts, device=CPU)
            assert modes == [inference] * len(parts)


def test_each_worker_has_one_thread_and_the_caller_keeps_its_own():
    """In a process of its own: the workers are started once a process."""
    program = """
import threading, torch
torch.set_num_threads(3)
from rp_tutorial.core.threads import one_thread, side_by_side
def look(_):
    return torch.get_num_threads(), threading.current_thread() is threading.main_thread()
seen = side_by_side(look, range(12), device=torch.device("cpu"))
torch.ones(300, 300) @ torch.ones(300, 300)
print(torch.get_num_threads(), set(seen))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "3 {(1, False)}"
