"""What the command ``keras-elmo`` does; :mod:`keras_elmo.arguments` are its arguments.

Nothing is imported here, so that each subcommand costs only what it uses.
"""
