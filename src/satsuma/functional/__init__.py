"""Pure losses, metrics and activations: tensors in, tensors out, nothing kept."""
