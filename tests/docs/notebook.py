"""Runs notebooks of the documentation, and writes their outputs into them.

Run it after a change to the cells: ``python -m tests.docs.notebook
docs/gallery/article.ipynb``. The file then depends on its cells alone: no times, no paths,
no messages of TensorFlow.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TIMEOUT = 300  # seconds, for each cell
# What TensorFlow's C++ library writes as it starts, whatever its log level is; what
# matplotlib does the first time; what pooch's progress bar lacks without ipywidgets.
_START_UP = re.compile(
    r"(?:WARNING: All log messages before absl|[IW]\d{4} |Matplotlib is building ).*\n"
    r"|.*TqdmWarning: IProgress not found.*\n.*\n"
)


def executed(path: Path) -> Any:
    """The notebook with the outputs of a run in an empty directory, and nothing else."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook, timeout=TIMEOUT, record_timing=False, resources=where
        )
        client.execute(env=_environment(folder))
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_cleaned, cell.outputs) if output]
    notebook.metadata = METADATA
    return notebook


def _environment(folder: str) -> dict[str, str]:
    """With this package, and without the user's settings of IPython."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # The kernel chooses the backend that draws into notebooks, unless this names another.
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return {
        **kept,
        "IPYTHONDIR": folder,
        "PYTHONPATH": os.pathsep.join(paths),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "1",  # more of them only wait, and round in other orders
    }


def _cleaned(output: Any) -> Any:
    """The output without what differs from run to run; ``None`` if nothing is left."""
    if output.get("name") == "stderr":
        if others := _START_UP.sub("", output.text).strip():
            raise ValueError(f"A cell wrote to the standard error: {others:.500}")
        return None
    if "metadata" in output:
        output.metadata = {}
    return output


def outputs(notebook: Any) -> list[list[dict[str, str]]]:
    """The outputs of each code cell, by type: ``"text"``, ``"image/png"`` and so on."""
    return [
        [
            {"text": output.text} if output.output_type == "stream" else dict(output.data)
            for output in cell.outputs
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def main() -> None:
    """Writes the outputs of the notebooks that the command line names."""
    for path in map(Path, sys.argv[1:]):
        notebook = executed(path)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"Wrote {path}")


if __name__ == "__main__":
    main()
