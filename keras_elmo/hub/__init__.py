"""Everything that touches a graph of TensorFlow: TF1 Hub modules and SavedModels."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_elmo.hub.saved_model import export_saved_model
    from keras_elmo.hub.verification import Verification, verify

__all__ = ["Verification", "export_saved_model", "verify"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Not imported at once: the readers of weights import the readers in here.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        file = "saved_model" if name == "export_saved_model" else "verification"
        return getattr(importlib.import_module(f"{__name__}.{file}"), name)
