"""``python -m tests.fuzzing --target hdf5 --files 2000 --seed 0``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing.runner import ROOT, Runner


def main() -> int:
    """Runs targets, prints a line for each and one for each failure."""
    sys.path.insert(0, str(ROOT / "examples"))
    from tests.fuzzing.targets import NAMES

    parser = argparse.ArgumentParser("python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--target", choices=NAMES, nargs="+", default=NAMES)
    parser.add_argument("--files", type=int, default=2000, help="for each target")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="only write the first file there")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        _keep(arguments.target[0], arguments.seed, arguments.first, arguments.keep)
        return 0
    failed = False
    with Runner() as runner:
        for target in arguments.target:
            found = runner.run(target, arguments.seed, arguments.first, arguments.files)
            print(f"{target}: {found}", flush=True)
            for index, what, text in found.failures:
                print(f"  --target {target} --first {index}: {what}: {text}", flush=True)
            failed |= bool(found.failures)
    return int(failed)


def _keep(name: str, seed: int, index: int, folder: Path) -> None:
    """Writes the files of one number, to look at."""
    from tests.fuzzing.target import write_files
    from tests.fuzzing.targets import make_target
    from tests.fuzzing.worker import spoiled_files

    target = make_target(name)
    with tempfile.TemporaryDirectory() as good:
        target.make(Path(good))
        target.read(Path(good))
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, spoiled_files(target, Path(good), seed, index))


if __name__ == "__main__":
    sys.exit(main())
