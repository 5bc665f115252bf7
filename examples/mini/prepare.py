"""Writes the text that ELMo "mini" is trained on: IMDB film reviews, one per line.

The text is the training half of Maas et al. (2011) and the unlabeled reviews. The test
half is left out, so that it can still evaluate the model. Some randomly chosen reviews are
held out to measure perplexity. Equal data give equal files, byte by byte::

    python examples/mini/prepare.py aclImdb_v1.tar.gz imdb_text
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from tqdm import tqdm

from keras_elmo import tokenize
from keras_elmo.text.imdb import TRAINING, read_imdb

N_SHARDS = 8
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Write the IMDB reviews as text to train a language model on."
    )
    add = parser.add_argument
    add("data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("out", type=Path, help="the directory to write; it must not exist")
    add("--held-out", type=int, default=1000, help="reviews, duplicates included (1000)")
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    reviews = [text for texts in read_imdb(args.data, TRAINING).values() for text in texts]
    random.Random(SEED).shuffle(reviews)
    lines = [" ".join(tokenize(text)) for text in tqdm(reviews, "Tokenizing")]
    training = lines[args.held_out :]
    seen = set(training)  # some reviews occur twice
    files = {"heldout.txt": [line for line in lines[: args.held_out] if line not in seen]}
    files |= {f"train-{i}.txt": training[i::N_SHARDS] for i in range(N_SHARDS)}
    for name, texts in files.items():
        text = "".join(line + "\n" for line in texts)
        (args.out / name).write_text(text, encoding="utf-8", newline="\n")
    n = len(files["heldout.txt"])
    print(f"Wrote {args.out}: {len(training):,} reviews to train on, {n:,} held out")


if __name__ == "__main__":
    main()
