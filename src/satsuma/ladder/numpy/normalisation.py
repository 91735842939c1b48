"""Batch normalisation: every feature to mean 0 and deviation 1 over the batch, then scaled and shifted as is learnt.

Source: Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift".

Legend: J the loss, N items, D features, B batch, C channels, H height, W width. `grad` is dJ/d(output).
"""

# mypy: disable-error-code="no-any-return"

import numpy as np


class BatchNorm1d:
    """`(x - mean) / √(variance + eps) * weight + bias`, feature by feature: [N D] to [N D].

    While training, mean and variance are the batch's, and running means of them are kept, `momentum` of the new with
    the rest of the old; in evaluation these are used. The variance kept is that of a sample (over N - 1).
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.eps, self.momentum, self.training = eps, momentum, True
        self.parameters: dict[str, np.ndarray] = {
            "weight": np.ones(num_features, np.float32),
            "bias": np.zeros(num_features, np.float32),
        }
        self.gradients: dict[str, np.ndarray] = {}
        self.buffers: dict[str, np.ndarray] = {  # saved with the model, but not learnt
            "running_mean": np.zeros(num_features, np.float32),
            "running_var": np.ones(num_features, np.float32),
            "num_batches_tracked": np.zeros((), np.int64),
        }

    def forward(self, x: np.ndarray) -> np.ndarray:
        mean, variance = self.buffers["running_mean"], self.buffers["running_var"]  # [D]
        if self.training:
            mean, variance = x.mean(0), x.var(0)
            self.keep_statistics(mean, variance * (len(x) / (len(x) - 1)))
        self.deviation = np.sqrt(variance + self.eps)  # s [D]
        self.normal = (x - mean) / self.deviation  # z [N D]
        return self.normal * self.parameters["weight"] + self.parameters["bias"]

    def keep_statistics(self, mean: np.ndarray, variance: np.ndarray) -> None:
        self.buffers["num_batches_tracked"] += 1
        for kept, new in ((self.buffers["running_mean"], mean), (self.buffers["running_var"], variance)):
            kept[...] = kept + self.momentum * (new - kept)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # y = w z + b:  dJ/dw = Σ_n grad z,  dJ/db = Σ_n grad,  dJ/dz = grad w
        # z = (x - m)/s, where m and s depend on every x[n] of the batch:
        #   dm/dx[n] = 1/N,  ds/dx[n] = (x[n] - m)/(N s) = z[n]/N
        #   dz[i]/dx[n] = ((1 if i=n else 0) - 1/N - z[i] z[n]/N)/s
        #   dJ/dx[n] = Σ_i dJ/dz[i] dz[i]/dx[n] = (dJ/dz[n] - mean(dJ/dz) - z[n] mean(dJ/dz z))/s
        self.gradients["weight"] = (grad * self.normal).sum(0)
        self.gradients["bias"] = grad.sum(0)
        dz = grad * self.parameters["weight"]
        if self.training:  # in evaluation m and s are constants
            dz = dz - dz.mean(0) - self.normal * (dz * self.normal).mean(0)
        return dz / self.deviation


class BatchNorm2d:
    """`BatchNorm1d` of each channel, over all pixels of all pictures: [B C H W] to [B C H W]."""

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.training = True
        self.pixels = BatchNorm1d(num_features, eps=eps, momentum=momentum)
        self.parameters, self.gradients = self.pixels.parameters, self.pixels.gradients
        self.buffers = self.pixels.buffers

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.pixels.training = self.training
        return as_pictures(self.pixels.forward(as_pixels(x)), x.shape)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        return as_pictures(self.pixels.backward(as_pixels(grad)), grad.shape)


def as_pixels(x: np.ndarray) -> np.ndarray:
    """Each pixel a row: [B C H W] to [B*H*W C]."""
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def as_pictures(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """And back: [B*H*W C] to `shape`, [B C H W]."""
    batch, channels, height, width = shape
    return pixels.reshape(batch, height, width, channels).transpose(0, 3, 1, 2)
