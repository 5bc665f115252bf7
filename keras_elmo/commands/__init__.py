"""What the command ``keras-elmo`` does; :mod:`keras_elmo.command` reads its arguments.

Nothing is imported here, so that each subcommand costs only what it uses.
"""
