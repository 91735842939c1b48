"""Convolution as one matrix product: every patch of the pictures laid out as a row.

Source: Chellapilla, Puri and Simard 2006, "High Performance Convolutional Neural Networks for Document Processing".

Legend: J the loss, B batch, C channels in, K channels out, H height, W width, R rows and Q columns of the output,
k the side of the kernel. `grad` is dJ/d(output).
"""

# mypy: disable-error-code="no-any-return"

import numpy as np

from satsuma.ladder.numpy.init import first_numbers
from satsuma.ladder.numpy.random import Generator


def im2col(x: np.ndarray, k: int, stride: int, padding: int, fill: float = 0.0) -> np.ndarray:
    """Every patch of k by k: [B C H W] to [B C R Q k k], a view. Edges are widened by `padding` pixels of `fill`.

    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2, 1, 0)[0, 0, 0, 1]
    array([[1., 2.],
           [4., 5.]])
    """
    edge = (padding, padding)
    x = np.pad(x, ((0, 0), (0, 0), edge, edge), constant_values=fill) if padding else x
    patches = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
    return patches[:, :, ::stride, ::stride]


def col2im(patches: np.ndarray, shape: tuple[int, ...], stride: int, padding: int) -> np.ndarray:
    """Every patch added where `im2col` cut it: [B C R Q k k] to `shape`, [B C H W].

    A pixel went into several patches, so its error is the sum of theirs: this is `im2col`'s `backward`.
    """
    (batch, channels, height, width), (rows, columns, k) = shape, patches.shape[2:5]
    wide: np.ndarray = np.zeros((batch, channels, height + 2 * padding, width + 2 * padding), patches.dtype)
    for i in range(k):
        for j in range(k):
            wide[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride] += patches[..., i, j]
    return wide[:, :, padding : padding + height, padding : padding + width]


class Conv2d:
    """Each output pixel is a weighted sum of a patch: [B C H W] to [B K R Q].

    R = (H + 2 padding - k) // stride + 1, and Q likewise from W.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        generator: Generator,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        self.stride, self.padding = stride, padding
        inputs, shape = in_channels * kernel_size**2, (out_channels, in_channels, kernel_size, kernel_size)
        self.parameters = {"weight": first_numbers(shape, inputs, generator)}
        if bias:
            self.parameters["bias"] = first_numbers((out_channels,), inputs, generator)  # [K]
        self.gradients: dict[str, np.ndarray] = {}

    def forward(self, x: np.ndarray) -> np.ndarray:
        weight = self.parameters["weight"]  # [K C k k]
        patches = im2col(x, weight.shape[-1], self.stride, self.padding)  # [B C R Q k k]
        batch, channels, rows, columns, k, _ = patches.shape
        self.shape = x.shape
        self.rows = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, channels * k * k)  # [B*R*Q C*k*k]
        y = self.rows @ weight.reshape(len(weight), -1).T  # [B*R*Q K]: from here on a linear layer
        if "bias" in self.parameters:
            y = y + self.parameters["bias"]
        return y.reshape(batch, rows, columns, -1).transpose(0, 3, 1, 2)  # [B K R Q]

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # as for a linear layer with delta [B*R*Q K]: dJ/dw = delta.T @ rows, dJ/db = delta.sum(0), dJ/drows = delta @ w
        weight = self.parameters["weight"]
        _, channels, k, _ = weight.shape
        batch, _, rows, columns = grad.shape
        delta = grad.transpose(0, 2, 3, 1).reshape(-1, len(weight))
        self.gradients["weight"] = (delta.T @ self.rows).reshape(weight.shape)
        if "bias" in self.parameters:
            self.gradients["bias"] = delta.sum(0)
        patches = (delta @ weight.reshape(len(weight), -1)).reshape(batch, rows, columns, channels, k, k)
        return col2im(patches.transpose(0, 3, 1, 2, 4, 5), self.shape, self.stride, self.padding)
