"""Every piece again, written out: from torch tensors in `tensors`, from NumPy arrays in `numpy`."""
