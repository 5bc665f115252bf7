"""Everything that touches a graph of TensorFlow: TF1 Hub modules and SavedModels."""
