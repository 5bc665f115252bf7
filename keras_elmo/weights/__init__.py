"""From files and addresses to a configuration and arrays by name, and back.

Nothing is imported here, so that each reader costs only what it uses.
"""
