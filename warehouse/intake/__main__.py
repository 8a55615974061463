"""Judges a group of deliveries in a process of its own (``judge``): what it needs comes in by standard input, what came
of it goes out. It ends with 1 where judging raised an error, and with another code only where something ended it."""

import os
import pickle
import sys

from warehouse.intake.judge import judge_here

if __name__ == "__main__":
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answer:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        pickle.dump(judge_here(*pickle.load(sys.stdin.buffer)), answer)
