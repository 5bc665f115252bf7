"""Writes all pictures."""

from pathlib import Path

from pictures import PICTURES

FOLDER = Path(__file__).resolve().parents[1] / "images" / "stages"

for name, draw in PICTURES.items():
    draw().save(FOLDER / f"{name}.svg")
