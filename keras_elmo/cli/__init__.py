"""The command ``keras-elmo``: a module for each of its subcommands."""
