"""Pooling: one number for each patch of a channel, its largest or its mean.

Legend: J the loss, B batch, C channels, H height, W width, R rows and Q columns of the output, k the side of a patch.
`grad` is dJ/d(output), [B C R Q]. `stride=None` is k: patches side by side.
"""

# mypy: disable-error-code="no-any-return"

import numpy as np

from satsuma.ladder.numpy.convolution import col2im, im2col


class MaxPool2d:
    """The largest number of each patch: [B C H W] to [B C R Q]."""

    def __init__(self, kernel_size: int, *, stride: int | None = None, padding: int = 0) -> None:
        self.k, self.stride, self.padding = kernel_size, stride or kernel_size, padding

    def forward(self, x: np.ndarray) -> np.ndarray:
        patches = im2col(x, self.k, self.stride, self.padding, fill=-np.inf)  # what is outside never wins
        patches = patches.reshape(*patches.shape[:4], -1)  # [B C R Q k*k]
        self.shape, self.winner = x.shape, patches.argmax(-1)  # of equal numbers the first
        return patches.max(-1)

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # dy/dx = 1 for the number that won, 0 for the others: it gets the whole error
        won = self.winner[..., None] == np.arange(self.k * self.k)  # [B C R Q k*k]
        patches = (grad[..., None] * won).reshape(*grad.shape, self.k, self.k)
        return col2im(patches, self.shape, self.stride, self.padding)


class AvgPool2d:
    """The mean of each patch: [B C H W] to [B C R Q]. Padding counts as zeros."""

    def __init__(self, kernel_size: int, *, stride: int | None = None, padding: int = 0) -> None:
        self.k, self.stride, self.padding = kernel_size, stride or kernel_size, padding

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return im2col(x, self.k, self.stride, self.padding).mean((4, 5))

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # dy/dx = 1/k² for each number of the patch: they share the error
        patches = np.broadcast_to(grad[..., None, None] / self.k**2, (*grad.shape, self.k, self.k))
        return col2im(patches, self.shape, self.stride, self.padding)


class AdaptiveAvgPool2d:
    """The mean of each of `size` by `size` tiles, whatever the picture's size: [B C H W] to [B C size size].

    Tiles overlap by a pixel where the size does not divide the picture's; size 1 is the mean of each channel.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x_shape = x.shape
        y: np.ndarray = np.empty((*x.shape[:2], self.size, self.size), x.dtype)
        for i, rows in enumerate(tile_edges(x.shape[2], self.size)):
            for j, columns in enumerate(tile_edges(x.shape[3], self.size)):
                y[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
        return y

    def backward(self, grad: np.ndarray) -> np.ndarray:
        # dy/dx = 1/area for each pixel of the tile; a pixel in two tiles adds up their errors
        dx: np.ndarray = np.zeros(self.x_shape, grad.dtype)
        for i, rows in enumerate(tile_edges(self.x_shape[2], self.size)):
            for j, columns in enumerate(tile_edges(self.x_shape[3], self.size)):
                area = (rows.stop - rows.start) * (columns.stop - columns.start)
                dx[:, :, rows, columns] += grad[:, :, i, j, None, None] / area
        return dx


def tile_edges(length: int, tiles: int) -> list[slice]:
    """`length` pixels cut into `tiles`, each from its start rounded down to its end rounded up.

    >>> tile_edges(5, 2)
    [slice(0, 3, None), slice(2, 5, None)]
    """
    return [slice(i * length // tiles, -(-(i + 1) * length // tiles)) for i in range(tiles)]
