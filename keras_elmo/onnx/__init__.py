"""The layer as a graph for ONNX Runtime.

Stages as in ``layers``, from arrays of weights to nodes.
"""
