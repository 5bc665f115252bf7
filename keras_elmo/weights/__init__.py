"""Reading and writing ELMo weights: files to arrays by name, arrays to layers.

Nothing is imported here, so that each reader costs only what it uses.
"""
