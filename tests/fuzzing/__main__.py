"""``python -m tests.fuzzing --target hdf5 --files 2000 --seed 0``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzzing import targets
from tests.fuzzing.runner import Runner, spoiled
from tests.fuzzing.target import write_files


def main() -> int:
    """Runs targets, prints a line for each and one for each failure."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.path.insert(0, "examples")
    parser = argparse.ArgumentParser("python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--target", choices=targets(), nargs="+", default=list(targets()))
    parser.add_argument("--files", type=int, default=2000, help="for each target")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="only write the first file there")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        target = targets()[arguments.target[0]]
        with tempfile.TemporaryDirectory() as good:
            target.make(Path(good))
            target.read(Path(good))
            arguments.keep.mkdir(parents=True, exist_ok=True)
            files = spoiled(target, Path(good), arguments.seed, arguments.first)
            write_files(arguments.keep, files)
        return 0
    failed = False
    with Runner() as runner:
        for name in arguments.target:
            found = runner.run(name, arguments.seed, arguments.first, arguments.files)
            print(f"{name}: {found}", flush=True)
            for index, kind, text in found.failures:
                print(f"  --target {name} --first {index}: {kind}: {text}", flush=True)
            failed |= bool(found.failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
