"""Everything that touches a graph of TensorFlow: TF1 Hub modules and SavedModels.

Only TF1 Hub modules enter, and only those whose graphs can do nothing but compute.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_elmo.hub.module import HubModule as HubModule
    from keras_elmo.hub.saved_model import export_saved_model as export_saved_model
    from keras_elmo.hub.verification import Verification as Verification
    from keras_elmo.hub.verification import verify as verify

_FILES = {
    "HubModule": "module",
    "Verification": "verification",
    "export_saved_model": "saved_model",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    # When asked for: who resolves a handle or reads a checkpoint needs no Keras.
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
