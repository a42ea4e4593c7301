"""Tasks for workers to do, in a module that their processes can import."""

from __future__ import annotations

import os
import time

from generator.errors import SpecError
from generator.interrupts import heed


def square(n):
    return n * n


def process(_):
    time.sleep(0.3)
    return os.getpid()


def mistake(n):
    if n == 3:
        raise SpecError(["atlas.yaml:1:1: title: found 'a'", "atlas.yaml:2:1: authors: found 'b'"])
    return n


def ours(n):
    return 1 // (3 - n)


def dies(n):
    if n == 3:
        os.kill(os.getpid(), 9)
    return n


def threads(n):
    import threadpoolctl
    import torch

    torch.ones(64, 64) @ torch.ones(64, 64)
    return torch.get_num_threads(), sorted({each["num_threads"] for each in threadpoolctl.threadpool_info()})


def heeding(seconds):
    """Works on for so long, unless nobody waits for it any more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        heed()
        time.sleep(0.01)
    return seconds
