"""Deep learning from torch's tensors and its automatic differentiation alone: no torch.nn, torch.optim or torch.utils.

The convention, whole:

- A *layer* is a class with `__call__`, and `training = True` in its body, by which it is known.
- Its *parameters* are the tensors among its attributes; the attributes' names are the parameters' names.
- Its *buffers* (what it remembers but does not learn) are the tensors whose names its class lists in `buffers`. Those
  in `constants` are neither: they stand in no file of weights.
- Its *parts* are the layers among its attributes; `Sequential` numbers its parts: "0", "1", ...

So a weight is called `layer1.0.conv1.weight`, as torch would call it, and one file of weights fits both. The functions
of `model.py` walk through a model by these rules; a layer that needs no walking (`ReLU`) may be a plain function too.
Classes, functions and their arguments have the names, order and defaults of torch's or Satsuma's own.
"""
