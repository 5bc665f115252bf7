"""The text that ELMo "mini" is trained on: the IMDB film reviews, one in a line.

It takes the training half of Maas et al. (2011) and the reviews without a label, and not
the test half: a model trained on that could not be judged by it. Some reviews are held
out, at random, to measure perplexity on. Equal data give equal files, byte by byte::

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
    """Writes heldout.txt and train-*.txt, with spaces between the tokens."""
    parser = argparse.ArgumentParser(
        description="Write the IMDB reviews as text to train a language model on."
    )
    add = parser.add_argument
    add("data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("out", type=Path, help="the directory to write, which must be new")
    add(
        "--held-out", type=int, default=1000, help="reviews, before repeated ones go (1000)"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    reviews = [text for texts in read_imdb(args.data, TRAINING).values() for text in texts]
    random.Random(SEED).shuffle(reviews)
    lines = [" ".join(tokenize(text)) for text in tqdm(reviews, "Tokenizing")]
    training = lines[args.held_out :]
    seen = set(training)  # some reviews come twice
    files = {"heldout.txt": [line for line in lines[: args.held_out] if line not in seen]}
    files |= {f"train-{i}.txt": training[i::N_SHARDS] for i in range(N_SHARDS)}
    for name, texts in files.items():
        text = "".join(line + "\n" for line in texts)
        (args.out / name).write_text(text, encoding="utf-8", newline="\n")
    n = len(files["heldout.txt"])
    print(f"Wrote {args.out}: {len(training):,} reviews to train on, {n:,} held out")


if __name__ == "__main__":
    main()
