from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_elmo.pretraining.perplexity import Perplexity


def test_perplexity_by_hand() -> None:
    metric = Perplexity()
    metric.update_state(np.log(2.0), sample_weight=3.0)
    metric.update_state(np.log(16.0), sample_weight=1.0)
    assert float(metric.result()) == pytest.approx(2 ** (7 / 4), rel=1e-6)
    metric.reset_state()
    metric.update_state([np.log(5.0)])
    assert float(metric.result()) == pytest.approx(5, rel=1e-6)


def test_config() -> None:
    metric = keras.metrics.deserialize(keras.metrics.serialize(Perplexity(name="p")))
    assert isinstance(metric, Perplexity)
    assert metric.name == "p"
