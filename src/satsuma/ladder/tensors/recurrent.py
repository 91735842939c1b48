"""Cells for sequences: what is remembered goes round, `h(t) = s(Wx x(t) + Wh h(t-1))`.

Shapes: B batch, D features in, H hidden units.
"""

import math

import torch
from torch import Tensor

from satsuma.ladder.tensors.activations import relu, sigmoid, tanh


def uniform_start(*shape: int, bound: float) -> Tensor:
    """Uniform numbers in -bound..bound of this shape, ready to learn."""
    return torch.empty(shape).uniform_(-bound, bound).requires_grad_()


class RNNCell:
    """One step of a simple recurrent network: x [B D] and the state before [B H] to the state after [B H].

    nonlinearity: "tanh" or "relu". Source: Elman 1990, "Finding Structure in Time".

    >>> RNNCell(3, 5)(torch.zeros(2, 3)).shape
    torch.Size([2, 5])
    """

    training = True

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = nonlinearity
        bound = 1 / math.sqrt(hidden_size)
        self.weight_ih = uniform_start(hidden_size, input_size, bound=bound)  # [H D]
        self.weight_hh = uniform_start(hidden_size, hidden_size, bound=bound)  # [H H]
        self.bias_ih = uniform_start(hidden_size, bound=bound)  # [H]
        self.bias_hh = uniform_start(hidden_size, bound=bound)  # [H]

    def __call__(self, x: Tensor, h: Tensor | None = None) -> Tensor:  # [B D], [B H]
        if h is None:
            h = x.new_zeros(len(x), len(self.weight_hh))
        total = x @ self.weight_ih.T + self.bias_ih + h @ self.weight_hh.T + self.bias_hh  # [B H]
        return relu(total) if self.nonlinearity == "relu" else tanh(total)  # [B H]


class LSTMCell:
    """One step of a network with a long memory: x [B D], (h, c) [B H] each, to the next (h, c).

    The memory c is only ever multiplied by what to keep and added to, so that its gradient lasts over many steps.
    Sources: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers, Schmidhuber and Cummins 2000, "Learning
    to Forget" (the forget gate).

    >>> h, c = LSTMCell(3, 5)(torch.zeros(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    training = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        bound = 1 / math.sqrt(hidden_size)
        self.weight_ih = uniform_start(4 * hidden_size, input_size, bound=bound)  # [4*H D]
        self.weight_hh = uniform_start(4 * hidden_size, hidden_size, bound=bound)  # [4*H H]
        self.bias_ih = uniform_start(4 * hidden_size, bound=bound)  # [4*H]
        self.bias_hh = uniform_start(4 * hidden_size, bound=bound)  # [4*H]

    def __call__(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:  # [B D]
        if state is None:
            nothing = x.new_zeros(len(x), self.weight_hh.shape[1])  # [B H]
            state = nothing, nothing
        h, c = state  # [B H] each
        total = x @ self.weight_ih.T + self.bias_ih + h @ self.weight_hh.T + self.bias_hh  # [B 4*H]
        write, keep, news, show = total.chunk(4, 1)  # [B H] each: input, forget, cell and output gate
        c = sigmoid(keep) * c + sigmoid(write) * tanh(news)  # [B H]
        return sigmoid(show) * tanh(c), c  # [B H] each
