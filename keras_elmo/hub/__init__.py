"""Everything that touches a graph of TensorFlow: TF1 Hub modules and SavedModels.

Only TF1 Hub modules enter, and only those whose graphs can do nothing but compute.
"""

from keras_elmo.hub.module import HubModule
from keras_elmo.hub.saved_model import export_saved_model
from keras_elmo.hub.verification import Verification, verify

__all__ = ["HubModule", "Verification", "export_saved_model", "verify"]
