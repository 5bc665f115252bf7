"""Targets: the readers of models."""

from __future__ import annotations

import dataclasses
import hashlib
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
from keras_elmo.weights.cache import cache_folder
from keras_elmo.weights.named_models import MODELS
from keras_elmo.weights.sources import save_model
from keras_elmo.weights.tar_archive import unpack_tar
from tests.fuzzing.checkpoints import mutated_index
from tests.fuzzing.containers import mutated_tar_gz, zip_of, zip_or_member
from tests.fuzzing.mutations import Rng, mutated, mutated_json
from tests.fuzzing.target import (
    Files,
    Target,
    read_files,
    require,
    same,
    same_form,
    taken,
)
from tests.hub.bilm_checkpoints import write_checkpoint
from tests.manylangs_models import manylangs_model
from tests.tiny_models import TINY, random_arrays

_SMALL = dataclasses.replace(
    TINY, char_dim=2, filters=((1, 2), (2, 3)), n_highway=1, dim=3, projection_dim=2
)


class _Model(Target):
    """``options.json`` and ``weights.hdf5``."""

    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        save_model(folder, _SMALL, random_arrays(_SMALL))


class Hdf5(_Model):
    """``weights.hdf5``, whose numbers have no checksum."""

    name = "hdf5"

    def make(self, folder: Path) -> None:
        super().make(folder)
        plain = (folder / "weights.hdf5").read_bytes()
        # The same in the forms of newer libraries, and compressed.
        with h5py.File(folder / "newest", "w", libver="latest") as file:
            for name, array in random_arrays(_SMALL).items():
                file[name] = array
        with h5py.File(folder / "packed", "w") as file:
            for name, array in random_arrays(_SMALL).items():
                file.create_dataset(name, data=array, compression="gzip", shuffle=True)
        self.forms = [plain, plain, taken(folder / "newest"), taken(folder / "packed")]

    def spoil(self, files: Files, rng: Rng) -> Files:
        return {**files, "weights.hdf5": mutated(rng.choice(self.forms), rng)}

    def read(self, folder: Path) -> Any:
        return load_path(folder)

    def check(self, expected: Any, found: Any) -> None:
        is_right = expected[0] == found[0] and same_form(expected[1], found[1])
        require(is_right, "arrays are missing, misshapen or not finite")


class Options(_Model):
    """``options.json``, next to weights that it has to fit."""

    name = "options"

    def spoil(self, files: Files, rng: Rng) -> Files:
        return {**files, "options.json": mutated_json(files["options.json"], rng)}

    def read(self, folder: Path) -> Any:
        try:
            config = ElmoConfig.from_json(folder / "options.json")
        except ValueError:
            config = None
        return config, *load_path(folder)

    def check(self, expected: Any, found: Any) -> None:
        right = same(expected[2], found[2]) and found[0] == found[1]
        require(right, "other weights, or two configurations")
        # What the shapes do not show may be another number.
        free = ["activation", "cell_clip", "projection_clip", "use_skip_connections"]
        free.append("max_characters_per_token")
        rest = {name: getattr(expected[1], name) for name in free}
        changed = dataclasses.replace(found[1], **rest)
        require(changed == expected[1], f"the configuration {found[1]}")


class Zip(_Model):
    """A zip archive of a model: all of it has checksums."""

    name = "zip"

    def make(self, folder: Path) -> None:
        super().make(folder)
        files = {n: taken(folder / n) for n in ("options.json", "weights.hdf5")}
        (folder / "model.zip").write_bytes(zip_of(files))
        self.stored = zip_of(files, 0)

    def spoil(self, files: Files, rng: Rng) -> Files:
        content = self.stored if rng.random() < 0.3 else files["model.zip"]
        change = {"options.json": mutated_json, "weights.hdf5": mutated}
        content, self.fits = zip_or_member(content, rng, change)
        return {"model.zip": content}

    def read(self, folder: Path) -> Any:
        return load_path(folder / "model.zip")

    def check(self, expected: Any, found: Any) -> None:
        is_right = self.fits and same_form(expected[1], found[1])
        require(is_right, "a checksum was passed over")


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
        path = folder / "module.tar.gz"
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
            for name in self.content:
                info = tar.gettarinfo(inner / name, name)
                info.mtime = 0.5  # a header of its own
                with (inner / name).open("rb") as file:
                    tar.addfile(info, file)
        shutil.rmtree(inner)

    def spoil(self, files: Files, rng: Rng) -> Files:
        content, self.fits = mutated_tar_gz(files["module.tar.gz"], rng)
        return {"module.tar.gz": content}

    def read(self, folder: Path) -> Any:
        try:
            unpack_tar(folder / "module.tar.gz", folder / "out", 1 << 20)
        except SourceError:
            names = [path.name for path in folder.iterdir()]
            require(names == ["module.tar.gz"], "something is left")
            raise
        out = folder / "out"
        names = sorted(path.name for path in folder.iterdir())
        are_plain = all(
            (path.is_file() or path.is_dir()) and not path.is_symlink()
            for path in out.rglob("*")
        )
        is_right = are_plain and names == ["module.tar.gz", "out"]
        require(is_right, "something that is not a plain file, or next to the target")
        return read_files(out)

    def check(self, expected: Any, found: Any) -> None:
        # tar has no checksum of files, and what was compressed after the change is whole.
        require(self.fits, "gzip's checksum was passed over")


class Checkpoint(Target):
    """The variables of a TF1 Hub module: all of it has checksums."""

    name = "checkpoint"
    prefix = "variables/variables"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        import tensorflow as tf

        new = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}
        arrays = {}
        for name, array in random_arrays(_SMALL).items():
            first, _, last = name.rpartition("/LSTMCell/")
            full = f"{first}/rnn/lstm_cell/{new[last]}" if first else name
            arrays[f"bilm/{full}"] = array
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

    def spoil(self, files: Files, rng: Rng) -> Files:
        index = f"{self.prefix}.index"
        self.fits = rng.random() < 0.6
        if self.fits:
            return {**files, index: mutated_index(files[index], rng)}
        name = rng.choice([name for name in files if name.startswith(self.prefix)])
        return {**files, name: mutated(files[name], rng)}

    def read(self, folder: Path) -> Any:
        return read_tf_hub(folder)

    def check(self, expected: Any, found: Any) -> None:
        require(self.fits and found[0] == expected[0], "a checksum was passed over")
        # The mix may be missing: a module need not have one.
        mix = {MIX_WEIGHTS, MIX_GAMMA}
        kept = {n: a for n, a in expected[1].items() if n in found[1] or n not in mix}
        is_right = same_form(kept, {n: found[1][n] for n in kept if n in found[1]})
        require(is_right, "arrays are missing, misshapen or not finite")


class BilmCheckpoint(Checkpoint):
    """A checkpoint of bilm-tf's training."""

    name = "bilm-checkpoint"
    prefix = "model.ckpt-1"

    def make(self, folder: Path) -> None:
        write_checkpoint(folder, _SMALL, step=1)
        (folder / "checkpoint").unlink()  # read as text

    def read(self, folder: Path) -> Any:
        return load_path(folder)


class Registry(_Model):
    """A named model whose SHA-256 is known, in the cache or as a server gives it."""

    name = "registry"

    def make(self, folder: Path) -> None:
        super().make(folder)
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

    def spoil(self, files: Files, rng: Rng) -> Files:
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
                    place = cache_folder(str(self.model.weights_url))
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(folder / Path(str(url)).name, place)
            try:
                return load_source("fuzzed")[:2]
            finally:
                shutil.rmtree(folder / "cache", ignore_errors=True)


class ManyLangs(Target):
    """A folder of ELMoForManyLangs: pickles, lists and configurations."""

    name = "manylangs"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        manylangs_model(folder)

    def spoil(self, files: Files, rng: Rng) -> Files:
        names = ["encoder.pkl", "token_embedder.pkl"] * 3 + ["char.dic", "word.dic"]
        name = rng.choice([*names, "config.json", "configs/network.json"])
        spoil = mutated_json if name.endswith(".json") else mutated
        return {**files, name: spoil(files[name], rng)}

    def read(self, folder: Path) -> Any:
        return load_path(folder)

    def check(self, expected: Any, found: Any) -> None:
        config, arrays = found
        shapes = {name: array.shape for name, array in arrays.items()}
        is_finite = all(np.isfinite(array).all() for array in arrays.values())
        require(shapes == config.array_shapes() and is_finite, "misshapen, or not finite")


TARGETS = (Hdf5, Options, Zip, Tar, Checkpoint, BilmCheckpoint, Registry, ManyLangs)
