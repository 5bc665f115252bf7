"""``python -m keras_elmo`` is the command ``keras-elmo``."""

import sys

from keras_elmo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
