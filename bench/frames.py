"""How many Python frames stand between a public function and the user's function, at most.

    python bench/frames.py
    python bench/frames.py --each     # with the frames where they are most

The user's functions are those of one point and look at their own stack at each call; they stand in an ordinary state,
at the edge of bounds, in noise and beside a wall (tests/stack.py). What counts are the frames strictly between the
public function's own and f's; the wrapper that silences floating-point warnings stands outside of the former. A
quadratic form has no function: there its compiled kernels are watched in the place of f. Comprehensions have a frame
of their own up to Python 3.11.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from stack import CALLS, watch_call  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", action="store_true", help="name the frames")
    options = parser.parse_args()
    print(f"{'':36}frames   calls of f")
    for name in CALLS:
        watch = watch_call(name)
        print(f"{name:<36}{len(watch.deepest):6}{watch.calls:13}")
        if options.each:
            print(f"    {' > '.join(watch.deepest) or 'none'}")


if __name__ == "__main__":
    main()
