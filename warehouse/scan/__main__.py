"""Looks at lake and build while a release is being made (``home.ahead``): settings come in by standard input,
number and bytes of the clean files go out."""

import json
import pickle
import sys

from warehouse.scan.home import note_clean

if __name__ == "__main__":
    print(json.dumps(note_clean(pickle.load(sys.stdin.buffer))))
