"""Everything that handles TensorFlow graphs: TF1 Hub modules and SavedModels.

The only files read are TF1 Hub modules whose graphs can only compute.
"""

from keras_elmo.hub.module import HubModule
from keras_elmo.hub.saved_model import export_saved_model
from keras_elmo.hub.verification import Verification, verify

__all__ = ["HubModule", "Verification", "export_saved_model", "verify"]
