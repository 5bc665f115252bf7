"""The command as a whole: what it costs, wrong arguments, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import pytest

import keras_elmo
from keras_elmo.cli import arguments, convert, embed
from keras_elmo.cli.main import COMMANDS, main
from keras_elmo.types import InputMode, OutputMode, Split
from keras_elmo.vectors.formats import FORMATS
from tests.cli.conftest import Run, names
from tests.processes import run_python

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "keras_elmo"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
ENVIRONMENT["PYTHONPATH"] = str(ROOT)
LARGE = {"h5py", "keras", "numpy", "pooch", "requests", "tensorflow"}


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("--version", f"keras-elmo {keras_elmo.__version__}\n"),
        ("embed --help", "usage: keras-elmo embed"),
        ("list", "mini (English, 8.0 MB, in the package)"),
        ("embed in.txt", "keras-elmo embed: error: the following arguments"),
    ],
)
def test_answers_in_half_a_second(line: str, start: str, report_figure: Any) -> None:
    begun = os.times()
    command = [*PROGRAM, *line.split()]
    found = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    ended = os.times()
    assert (found.stdout + found.stderr).startswith(start)
    seconds = ended.children_user - begun.children_user
    seconds += ended.children_system - begun.children_system
    report_figure(f"processor time of keras-elmo {line}", f"{seconds:.2f} s")
    assert seconds < 0.5


def test_help_and_errors_import_nothing_large() -> None:
    lines = [
        *("--help", "embed --help", "list --json", "info", "convert x y --to keras"),
        *("embed a a.parquet --source mini", "train x --out y"),
    ]
    code = (
        "import contextlib, sys\nfrom keras_elmo.cli.main import main\n"
        f"for line in {lines[:2] + lines[3:]}:\n"
        "    with contextlib.suppress(SystemExit):\n        main(line.split())\n"
        f"assert not {LARGE} & {{*sys.modules}}\n"
        f"main({lines[2].split()})\n"
        "assert not {'keras', 'tensorflow'} & {*sys.modules}\n"
    )
    assert '"mini"' in run_python(code)


@pytest.mark.slow
def test_tensorflow_logs_nothing(tmp_path: Path, source: str) -> None:
    (tmp_path / "in.txt").write_text("The cat sat\n")
    command = f"embed in.txt out.npy -q --source {source}".split()
    how: Any = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    quiet = subprocess.run([*PROGRAM, *command], env=ENVIRONMENT, **how)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    loud = {**ENVIRONMENT, "TF_CPP_MIN_LOG_LEVEL": "0"}
    logs = subprocess.run([*PROGRAM, *command], env=loud, **how).stderr
    assert "oneDNN" in logs or "I0000" in logs


def test_what_a_failing_import_wrote_is_shown(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'from a library\\n')\nraise ImportError('it is broken')"
    )
    (tmp_path / "good.py").write_text("import os\nos.write(2, b'nothing of interest\\n')")
    code = f"""
import os, sys
sys.path.insert(0, {str(tmp_path)!r})
os.dup2(1, 2)  # to see it
del os.environ["TF_CPP_MIN_LOG_LEVEL"]
from keras_elmo.cli import main
main._quiet_tensorflow()
main.import_in("good", main._held_stderr)
import good
try:
    import tensorflow
except ImportError as error:
    print(error)
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""
    assert run_python(code).split("\n") == ["from a library", "it is broken", "3", ""]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.6, 2, 8])
def test_interrupted(seconds: float, folder: Path) -> None:
    """One line, wherever the signal comes: in an import, or between two batches."""
    Path("in.txt").write_text("a b\n" * 2_000_000)  # minutes of work
    process = subprocess.Popen(
        [*PROGRAM, "embed", "in.txt", "o.npy", "--source", "mini", "-q"],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        # A shell lets what it starts in the background ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1]
    expected = "keras-elmo: stopped by SIGINT. The same command continues from here.\n"
    assert (process.returncode, error) == (130, expected)


def test_signals_get_their_handlers_back(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("keras_elmo.hub.sources.load_source", interrupted)
    assert run("info", "x") == (143, "", "keras-elmo: stopped by SIGTERM.\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_swallowed_signal_is_raised_again(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)  # jobs in the background ignore SIGINT
            time.sleep(0.01)  # where the exception comes, which nobody can catch

    def deaf(*arguments: object, **options: object) -> None:
        Deaf()
        for _ in range(6000):
            time.sleep(0.01)
        raise AssertionError("no signal in a minute")

    monkeypatch.setattr("keras_elmo.hub.sources.load_source", deaf)
    assert run("info", "x") == (143, "", "keras-elmo: stopped by SIGTERM.\n")


def test_a_second_signal_ends_the_process_at_once() -> None:
    code = """
import sys, time, types
sys.modules["tensorflow"] = types.ModuleType("tensorflow")
sources = sys.modules["keras_elmo.hub.sources"] = types.ModuleType("sources")
def slow(*arguments, **options):
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("closing", flush=True)
        time.sleep(60)
sources.load_source = slow
from keras_elmo.cli.main import main
main(["info", "x"])
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in ("started\n", "closing\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command.split(), "--help"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: keras-elmo {command}".strip())
    assert command == "" or "Exit codes: 0, all is well; 1," in printed


E = "embed in.txt a.h5 --source mini"
REQUIRED = "the following arguments are required: "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", REQUIRED + "COMMAND"),
        ("convert x y.zip", "the suffix of 'y.zip' does not say the format: add --to"),
        ("convert x y --to keras", "--to keras does not fit 'y'"),
        ("convert x y.keras --to hdf5", "--to hdf5 does not fit 'y.keras'"),
        ("convert x y --output-mode elmo", "HDF5 holds a model for every mode"),
        ("convert x y --input-mode tokens", "--input-mode are for --to keras and --to sav"),
        ("convert x .", "OUT must end in a file or directory name; got '.'"),
        ("embed in.txt out.h5", REQUIRED + "--source"),
        ("embed in.txt out.txt --source mini", "OUTPUT: must end in .hdf5, .h5, .npy, .pa"),
        ("embed in.txt x/a.h5 --source mini", "OUTPUT: there is no directory 'x': make it"),
        ("embed in.txt a.parquet --source mini", "a Parquet file needs --pooled"),
        (f"{E.replace('h5', 'npy')} --use-sentence-keys", "--use-sentence-keys is for HDF"),
        (f"{E} --top --all", "argument --all: not allowed with argument --top"),
        (f"{E} --batch-size 0", "--batch-size: must be a whole number from 1, not '0'"),
        ("train", REQUIRED + "TEXT, --out"),
        ("train a.txt --out o", "--init must name a model to start from, or --config"),
        ("evaluate s t --sentence-state kept", "invalid choice: 'kept'"),
    ],
)
def test_wrong_arguments(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments.split())
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("keras-elmo")
    assert error.count("\n") == 1
    assert names(folder) == []


def test_choices_are_those_of_the_library() -> None:
    assert get_args(OutputMode) == convert.OUTPUT_MODES
    assert get_args(InputMode) == convert.INPUT_MODES
    assert tuple(FORMATS) == embed.SUFFIXES
    assert get_args(Split) == arguments.SPLITS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("info nowhere", "source 'nowhere': there is no file or directory"),
        ("convert nowhere out", "source 'nowhere': there is no file or directory"),
        ("embed in.txt a.npy --source nowhere", "source 'nowhere': there is no file or"),
        ("embed no.txt a.npy --source {s}", "INPUT: there is no file 'no.txt'"),
        ("embed in.txt a.npy --source {s} --mix", "has no trained mix"),
        (
            "embed in.txt a.npy --source {s} --column x",
            "--column='x' applies only to JSON Lines",
        ),
        ("evaluate nowhere in.txt", "source 'nowhere': there is no file"),
        ("evaluate {s} no.txt", "There is no text file 'no.txt'"),
        ("evaluate {s} in.txt", "It can embed words but not predict them"),
        ("train in.txt --out in.txt/x --init {s}", "Not a directory"),
        ("train in.txt --out . --init {s}", "--out: '.' is not empty. Choose a"),
        ("train in.txt --out o --init {s} --vocabulary in.txt", "is not a vocabulary"),
        ("train in.txt --out o --config no.json", "No such file or directory: 'no.json'"),
        ("verify {s}", "is not a TF1 Hub module"),
        ("convert {s} a/b", "OUT: there is no directory 'a': make it first."),
    ],
)
def test_errors(arguments: str, message: str, folder: Path, run: Run, source: str) -> None:
    Path("in.txt").write_text("the cat\n")
    code, printed, error = run(*arguments.format(s=source).split())
    assert (code, printed) == (1, "")
    assert error.startswith("keras-elmo: error: ")
    assert message in error
    assert error.count("\n") == 1
    assert names(folder) == ["in.txt"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("keras-elmo e", {"embed", "evaluate"}),
        ("keras-elmo info m", {"medium", "mini", "mine/"}),
        ("keras-elmo embed in.txt o.npy --source sm", {"small "}),
        ("keras-elmo embed in.txt o.npy --sp", {"--split "}),
    ],
)
def test_completion(line: str, expected: set[str], folder: Path) -> None:
    pytest.importorskip("argcomplete")
    Path("mine").mkdir()
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": "found", "_ARGCOMPLETE_IFS": "\n"}
    subprocess.run(
        [sys.executable, "-m", "keras_elmo"], env=ENVIRONMENT | asked, check=True
    )
    assert set(Path("found").read_text().split("\n")) == expected
