"""Targets: the readers of models."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from unittest import mock

import h5py
import numpy as np
import pooch

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS
from keras_elmo.hub.sources import load_path, load_source
from keras_elmo.hub.tf_hub import read_tf_hub
from keras_elmo.weights import download
from keras_elmo.weights.named_models import MODELS
from keras_elmo.weights.sources import save_model
from keras_elmo.weights.tar_archive import unpack_tar
from tests.fuzzing.checkpoints import mutated_index
from tests.fuzzing.containers import (
    mutated_tar_gz,
    mutated_zip,
    with_mutated_member,
    zip_of,
)
from tests.fuzzing.mutations import mutated, mutated_json
from tests.fuzzing.target import (
    DATA,
    EQUAL,
    Files,
    Target,
    WrongContentError,
    same,
    same_form,
)
from tests.tiny_models import TINY, random_arrays

_SMALL = dataclasses.replace(
    TINY, char_dim=2, filters=((1, 2), (2, 3)), n_highway=1, dim=3, projection_dim=2
)


class Hdf5(Target):
    """``options.json`` and ``weights.hdf5``, whose numbers have no checksum."""

    name = "hdf5"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        save_model(folder, _SMALL, random_arrays(_SMALL))
        plain = (folder / "weights.hdf5").read_bytes()
        # The same in the forms of newer libraries, and compressed.
        with h5py.File(folder / "newest", "w", libver="latest") as file:
            for name, array in random_arrays(_SMALL).items():
                file[name] = array
        with h5py.File(folder / "packed", "w") as file:
            for name, array in random_arrays(_SMALL).items():
                file.create_dataset(name, data=array, compression="gzip", shuffle=True)
        self.forms = [
            plain,
            *(folder.joinpath(n).read_bytes() for n in ("newest", "packed")),
        ]
        for name in ("newest", "packed"):
            (folder / name).unlink()

    def spoil(self, files: Files, rng: random.Random) -> Files:
        form = rng.choice((self.forms[0], *self.forms))
        return {**files, "weights.hdf5": mutated(form, rng)}

    def read(self, folder: Path) -> Any:
        return load_path(folder)

    def judge(self, expected: Any, found: Any) -> str:
        if same(expected, found):
            return EQUAL
        if expected[0] == found[0] and same_form(expected[1], found[1]):
            return DATA
        raise WrongContentError("arrays are missing, misshapen or not finite")


class Options(Target):
    """``options.json``, beside weights that it has to fit."""

    name = "options"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        save_model(folder, _SMALL, random_arrays(_SMALL))

    def spoil(self, files: Files, rng: random.Random) -> Files:
        return {**files, "options.json": mutated_json(files["options.json"], rng)}

    def read(self, folder: Path) -> Any:
        try:
            config = ElmoConfig.from_json(folder / "options.json")
        except ValueError:
            config = None
        return config, *load_path(folder)

    def judge(self, expected: Any, found: Any) -> str:
        if not same(expected[2], found[2]) or found[0] != found[1]:
            raise WrongContentError("other weights, or two configurations")
        if found[1] == expected[1]:
            return EQUAL
        # What the shapes do not tell may be another number.
        free = ["activation", "cell_clip", "projection_clip", "use_skip_connections"]
        free.append("max_characters_per_token")
        rest = {name: getattr(expected[1], name) for name in free}
        if dataclasses.replace(found[1], **rest) == expected[1]:
            return DATA
        raise WrongContentError(f"the configuration {found[1]}")


class Zip(Target):
    """A zip archive of a model: all of it has checksums."""

    name = "zip"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        save_model(folder, _SMALL, random_arrays(_SMALL))
        files = {n: (folder / n).read_bytes() for n in ("options.json", "weights.hdf5")}
        for name in files:
            (folder / name).unlink()
        (folder / "model.zip").write_bytes(zip_of(files))
        self.stored = zip_of(files, 0)

    def spoil(self, files: Files, rng: random.Random) -> Files:
        self.fits = rng.random() < 0.2
        content = self.stored if rng.random() < 0.3 else files["model.zip"]
        if not self.fits:
            return {"model.zip": mutated_zip(content, rng)}
        change = {"options.json": mutated_json, "weights.hdf5": mutated}
        return {"model.zip": with_mutated_member(content, rng, change)}

    def read(self, folder: Path) -> Any:
        return load_path(folder / "model.zip")

    def judge(self, expected: Any, found: Any) -> str:
        if same(expected, found):
            return EQUAL
        # A member that was changed before it was packed is as it would be without.
        if self.fits and same_form(expected[1], found[1]):
            return DATA
        raise WrongContentError("a checksum was passed over")


class Tar(Target):
    """A ``.tar.gz`` archive, whose checksum is gzip's."""

    name = "tar"
    errors = (SourceError,)
    content = ("saved_model.pb", "variables/variables.index", "variables/variables.data-0")

    def make(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        inner = folder / "inner"
        for i, name in enumerate(self.content):
            path = inner / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rng.bytes(300 * (i + 1)))
        with tarfile.open(
            folder / "module.tar.gz", "w:gz", format=tarfile.PAX_FORMAT
        ) as tar:
            for name in self.content:
                info = tar.gettarinfo(inner / name, name)
                info.mtime = 0.5  # a header of its own
                with (inner / name).open("rb") as file:
                    tar.addfile(info, file)
        shutil.rmtree(inner)

    def spoil(self, files: Files, rng: random.Random) -> Files:
        content, self.fits = mutated_tar_gz(files["module.tar.gz"], rng)
        return {"module.tar.gz": content}

    def read(self, folder: Path) -> Any:
        try:
            unpack_tar(folder / "module.tar.gz", folder / "out", 1 << 20)
        except SourceError:
            if [path.name for path in folder.iterdir()] != ["module.tar.gz"]:
                raise WrongContentError("something is left") from None
            raise
        out = folder / "out"
        if sorted(p.name for p in folder.iterdir()) != ["module.tar.gz", "out"] or any(
            path.is_symlink() or not (path.is_file() or path.is_dir())
            for path in out.rglob("*")
        ):
            raise WrongContentError("something that is no plain file, or beside the target")
        return {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file()
        }

    def judge(self, expected: Any, found: Any) -> str:
        if found == expected:
            return EQUAL
        # tar has no checksum of files, and what was compressed after the change is whole.
        if self.fits:
            return DATA
        raise WrongContentError("gzip's checksum was passed over")


class Checkpoint(Target):
    """The variables of a TF1 Hub module: all of it has checksums."""

    name = "checkpoint"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        import tensorflow as tf

        new = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}
        arrays = {}
        for name, array in random_arrays(_SMALL).items():
            first, _, last = name.rpartition("/LSTMCell/")
            arrays["bilm/" + (f"{first}/rnn/lstm_cell/{new[last]}" if first else name)] = (
                array
            )
        arrays["aggregation/weights"] = np.array([0.5, -0.25, 1], np.float32)
        arrays["aggregation/scaling"] = np.float32(1.5)
        (folder / "variables").mkdir()
        tf.raw_ops.SaveV2(
            prefix=str(folder / "variables" / "variables"),
            tensor_names=list(arrays),
            shape_and_slices=[""] * len(arrays),
            tensors=[tf.constant(array) for array in arrays.values()],
        )
        (folder / "saved_model.pb").touch()

    def spoil(self, files: Files, rng: random.Random) -> Files:
        index = "variables/variables.index"
        self.fits = rng.random() < 0.6
        if self.fits:
            return {**files, index: mutated_index(files[index], rng)}
        name = rng.choice([name for name in files if name.startswith("variables/")])
        return {**files, name: mutated(files[name], rng)}

    def read(self, folder: Path) -> Any:
        return read_tf_hub(folder)

    def judge(self, expected: Any, found: Any) -> str:
        if same(expected, found):
            return EQUAL
        mix = {MIX_WEIGHTS, MIX_GAMMA}
        if self.fits and found[0] == expected[0]:
            # The mix may be missing: a module need not have one.
            kept = {n: a for n, a in expected[1].items() if n in found[1] or n not in mix}
            if same_form(kept, {n: found[1][n] for n in kept if n in found[1]}):
                return DATA
        raise WrongContentError("a checksum was passed over")


class Registry(Target):
    """A named model whose SHA-256 is known, in the cache or as a server gives it."""

    name = "registry"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        save_model(folder, _SMALL, random_arrays(_SMALL))
        content = (folder / "weights.hdf5").read_bytes()
        self.model = dataclasses.replace(
            MODELS["small"],
            name="fuzzed",
            weights_url="http://127.0.0.1:9/weights.hdf5",
            options_url="http://127.0.0.1:9/options.json",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self.is_cached = False
        pooch.get_logger().setLevel("ERROR")

    def spoil(self, files: Files, rng: random.Random) -> Files:
        self.is_cached = rng.random() < 0.5
        content = mutated(files["weights.hdf5"], rng)
        if rng.random() < 0.6:  # of the same size, so that it has to be looked into
            size = len(files["weights.hdf5"])
            content = content[:size].ljust(size, b"\0")
        return {**files, "weights.hdf5": content}

    def read(self, folder: Path) -> Any:
        def serve(url: str, file: IO[bytes], *_: Any) -> None:
            if self.is_cached:
                raise OSError("no network")
            file.write((folder / Path(url).name).read_bytes())

        cache = {"KERAS_ELMO_CACHE": str(folder / "cache")}
        with (
            mock.patch.dict("os.environ", cache),
            mock.patch.dict(MODELS, {"fuzzed": self.model}),
            mock.patch("pooch.HTTPDownloader", return_value=serve),
            mock.patch("pooch.core.time", SimpleNamespace(sleep=lambda _: None)),
        ):
            if self.is_cached:
                for url in (self.model.weights_url, self.model.options_url):
                    place = download.cache_folder(str(self.model.weights_url))
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(folder / Path(str(url)).name, place)
            try:
                return load_source("fuzzed")[:2]
            finally:
                shutil.rmtree(folder / "cache", ignore_errors=True)


TARGETS = (Hdf5, Options, Zip, Tar, Checkpoint, Registry)
