"""A vector with labels, as far as a pandas Series is one."""

import numpy as np


class Labelled:
    """Numbers with an `index`, neither an array nor a sequence."""

    def __init__(self, values, index):
        self.values, self.index = np.asarray(values, dtype=float), tuple(index)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)
