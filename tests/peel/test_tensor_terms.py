"""torch.nn's terms → tensors: the same names, first weights, outputs and gradients; and what cannot be is named."""

import importlib

import pytest
import torch
from tests.ladder.tensors.compare import assert_close, default_dtype, normal
from tests.peel.tensor_code import assert_alike, converted_files, run_converted, run_original

from satsuma.errors import PeelError
from satsuma.ladder.tensors.model import named_parameters, state_dict
from satsuma.peel.leftovers import leftovers, refuse_leftovers
from satsuma.peel.tensor_terms import in_tensor_terms


@pytest.fixture(autouse=True)
def _float64():
    with default_dtype(torch.float64):
        yield


LAYERS_AND_METHODS = '''
class Block(nn.Module):
    """A block."""

    def __init__(self, planes: int, *, drop: float = 0.3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(planes, planes, 3, 1, 1, 1, planes, False)  # depthwise
        self.norm = nn.BatchNorm2d(planes)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.gamma = nn.Parameter(torch.full((planes,), 0.5))
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        out = self.act(self.norm(self.conv(x)))
        return x + self.drop(out) * self.gamma.reshape(1, -1, 1, 1)

    def extra_repr(self) -> str:
        return "a block"


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.stem = nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1, dilation=1)
        self.blocks = nn.ModuleList([Block(4), Block(4, drop=0.0)])
        self.extra = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.register_buffer("scale", torch.tensor([2.0]))
        self.register_buffer("passing", torch.tensor([3.0]), persistent=False)
        self.grid = torch.linspace(0, 1, 4)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.head = nn.Sequential(nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 5, bias=False))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.stem(x), inplace=True), 2)
        for block in self.blocks:
            x = block(x)
        return F.adaptive_avg_pool2d(x, (1, 1)).flatten(1)

    def forward(self, x):
        x = self.features(x) * self.scale + self.grid * self.passing
        for layer in self.extra:
            x = x + torch.tanh(layer(x)) * self.frozen
        self.seen = x
        x = F.dropout(x, p=0.2, training=self.training)
        return F.log_softmax(self.head(x), dim=-1)
'''


@pytest.mark.parametrize("train", [True, False])
def test_a_users_module_with_everything(train):
    original, twin = run_original(LAYERS_AND_METHODS), run_converted(LAYERS_AND_METHODS)
    _, other = assert_alike(original["Net"], twin["Net"], normal(7, 3, 16, 16), train=train)
    assert not isinstance(other, torch.nn.Module)
    assert "passing" not in state_dict(other)


def test_how_a_class_reads():
    code = '''class Net(nn.Module):
    """A net."""

    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(3, width)  # wide

    def forward(self, x):
        # straight on
        return self.fc(x)
'''
    expected = '''class Net:
    """A net."""

    training = True

    def __init__(self, width):
        self.fc = Linear(3, width)  # wide

    def __call__(self, x):
        # straight on
        return self.fc(x)
'''
    assert in_tensor_terms(code) == expected


def test_comments_speak_of_layers_as_the_code_does():
    code = 'x = "nn.Tanh"  # é: an nn.Linear, or torch.nn.Tanh\ny = nn.Tanh()\n'
    assert in_tensor_terms(code) == 'x = "nn.Tanh"  # é: an Linear, or Tanh\ny = Tanh()\n'


def test_classes_that_build_on_others():
    code = """
    class Base(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.one = nn.Linear(3, width)

        def forward(self, x):
            return torch.relu(self.one(x))

    class Net(Base):
        def __init__(self):
            super().__init__(5)
            self.two = nn.Linear(5, 2)

        def forward(self, x):
            return self.two(super().forward(x))

    class Tail(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 7), nn.Tanh())

    class Named(nn.Sequential):
        def __init__(self):
            super().__init__()
            self.add_module("net", Net())
            for i in range(2):
                self.add_module(f"tail{i}", Tail() if not i else nn.Linear(7, 1))

        def forward(self, x):
            return super().forward(x) * 2

    class Same(nn.Module):
        pass
    """
    original, twin = run_original(code), run_converted(code)
    assert_alike(original["Named"], twin["Named"], normal(4, 3))
    assert twin["Same"].training


def test_walks_through_a_model():
    code = """
    from collections import OrderedDict

    def build():
        model = nn.Sequential(OrderedDict([("a", nn.Linear(3, 5)), ("norm", nn.BatchNorm1d(5)), ("b", b())]))
        for parameter in model.a.parameters():
            parameter.requires_grad = False
        model.norm.requires_grad_(False)
        model.apply(start)
        assert next(model.parameters()).shape == (5, 3)
        assert len(list(model.modules())) == 4
        assert [name for name, _ in model.named_children()] == ["a", "norm", "b"]
        assert [name for name, _ in model.named_modules()] == ["", "a", "norm", "b"]
        assert sum(p.numel() for n, p in model.named_parameters() if n.endswith("weight")) == 15 + 5 + 10
        assert len(list(model.b.parameters(recurse=False))) == 2
        assert not model.eval().training and not model.a.training
        model.train(mode=True) if False else model.train(True)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(state)
        model = model.to("cpu").to(memory_format=torch.channels_last)
        return model.double()

    def b():
        return nn.Linear(5, 2)

    def start(m: nn.Module) -> None:
        if isinstance(m, (nn.Linear, nn.Conv1d)):
            nn.init.xavier_uniform_(m.weight, gain=2.0)
            nn.init.constant_(m.bias, 0.1)
        assert isinstance(m, nn.Module)
        assert not isinstance(m, nn.LSTM)
    """
    assert_alike(run_original(code)["build"], run_converted(code)["build"], normal(7, 3))


FUNCTIONS = [
    "F.relu(x)",
    "F.leaky_relu(2 * x, 0.2, True)",
    "F.relu6(3 * x) + F.elu(x, 0.5) + F.softplus(x) + F.silu(x) + F.gelu(x, approximate='none')",
    "F.hardswish(x) + torch.sigmoid(x) + F.tanh(x) + x.sigmoid()",
    "F.softmax(x, 1) + F.log_softmax(input=x, dim=0)",
    "F.normalize(x, dim=-1)",
    "F.pad(x, (1, 2, 0, 3), value=2.0) ** 2",
    "F.pad(x, [1, 0], 'constant', 0)",
    "F.layer_norm(x, (6,)) * 2",
    "F.linear(x, w, bias=None)",
    "F.one_hot(y, 6) * x",
    "F.max_pool2d(x[None, None], 3, stride=2, ceil_mode=True)",
    "F.avg_pool2d(x[None, None], 2, 1)",
    "F.adaptive_avg_pool2d(x[None, None], (2, 4)) + F.adaptive_max_pool2d(x[None, None], (2, 4))",
    "F.conv2d(x[None, None], w[None, None, :2, :3], None, 1, 1)",
    "F.cross_entropy(x, y)",
    "F.cross_entropy(x, target=y, weight=w[0].abs(), label_smoothing=0.1, reduction='sum')",
    "F.cross_entropy(x, y, w[0].abs(), reduction='none', ignore_index=-100)",
    "F.nll_loss(torch.log_softmax(x, 1), y)",
    "F.binary_cross_entropy_with_logits(x, (x > 0).double(), pos_weight=w[0].abs())",
    "F.binary_cross_entropy(x.sigmoid(), (x > 0).double())",
    "F.mse_loss(x, x.detach() + 1) + F.l1_loss(x, w, reduction='sum')",
    "F.smooth_l1_loss(x, 2 * x.detach(), beta=0.5)",
    "nn.CrossEntropyLoss()(x, y) + nn.CrossEntropyLoss(w[0].abs(), label_smoothing=0.2)(x, y)",
    "nn.MSELoss(reduction='sum')(x, 0 * x) + nn.BCEWithLogitsLoss()(x, (x > 0).double())",
    "nn.Softmax(dim=1)(nn.ELU(0.3, inplace=False)(x))",
    "nn.Flatten(0)(x) + nn.Unflatten(0, (2, 18))(nn.Flatten(0)(x)).flatten()",
    "nn.functional.relu(x) + torch.nn.functional.relu(-x)",
    "(nn.functional.relu if True else F.gelu)(x)",
    "partial(F.leaky_relu, negative_slope=0.3, inplace=True)(2 * x)",
]


@pytest.mark.parametrize("code", FUNCTIONS)
def test_functions(code):
    results = []
    for run in (run_original, run_converted):
        x = normal(6, 6).requires_grad_()
        names = run(f"from functools import partial\ndef compute(x, w, y):\n    return {code}\n")
        out = names["compute"](x, normal(6, 6, seed=1), torch.arange(6))
        out.double().square().sum().backward()
        results.append((out, x.grad))
    assert_close(results[1][0], results[0][0], 1e-9)
    assert_close(results[1][1], results[0][1], 1e-9)


@pytest.mark.parametrize(
    ("files", "make", "shape", "train"),
    [
        (("nn.layers", "nn.cnn"), lambda room: room["small_cnn"](3, 5, width=3, dropout=0.2), (4, 3, 17, 16), True),
        (
            ("nn.layers", "nn.linear"),
            lambda room: room["mlp"]((6, 7, 5, 2), noise=0.1, dropout=0.3, input_dropout=0.1, batch_norm=True),
            (9, 6),
            True,
        ),
        (("nn.layers", "nn.linear"), lambda room: room["logistic_regression"](6, 3, log_softmax=True), (9, 6), True),
        (("nn.resnet",), lambda room: room["resnet18"](4, 2, zero_init_residual=True), (2, 2, 33, 33), True),
        (("nn.resnet",), lambda room: room["resnet50"](4, 1, small_images=True), (2, 1, 8, 8), False),
        (("nn.layers", "nn.squeezenet"), lambda room: room["squeezenet1_1"](4), (2, 3, 40, 39), True),
        (("nn.mobilenet",), lambda room: room["mobilenetv3_large_100"](4), (2, 3, 64, 64), True),
        (("nn.layers", "nn.convnext"), lambda room: room["convnext_atto"](4, 1), (2, 1, 32, 32), True),
        (
            ("nn.layers", "nn.convnext"),
            lambda room: room["ConvNeXt"](layers=(1, 1, 2, 1), widths=(4, 6, 8, 10), classes=3),
            (2, 3, 64, 32),
            True,
        ),
    ],
)
def test_satsumas_own_networks(files, make, shape, train):
    files = [f"satsuma.{file}" for file in files]
    original = vars(importlib.import_module(files[-1]))
    twin = converted_files(*files)
    # torch takes a sixth in float32 where it differentiates hard sigmoids
    tolerance = 1e-5 if "mobilenet" in files[-1] else 1e-8
    assert_alike(lambda: make(original), lambda: make(twin), normal(*shape), train=train, tolerance=tolerance)


def transfer_files():
    names = ("layers", "cnn", "convnext", "mobilenet", "resnet", "squeezenet", "heads", "registry", "transfer")
    return converted_files(*[f"satsuma.nn.{name}" for name in names])


@pytest.mark.parametrize("arch", ["resnet18", "squeezenet1_1"])
def test_transfer_learning_with_a_frozen_body(arch):
    from satsuma.nn import transfer

    twin = transfer_files()
    freeze = "def freeze(model):\n    model.body.requires_grad_(False)\n    return model\n"
    original, other = run_original(freeze)["freeze"], run_converted(freeze)["freeze"]
    model, mirrored = assert_alike(
        lambda: original(transfer.TransferModel(arch, 5, hidden=16)),
        lambda: other(twin["TransferModel"](arch, 5, hidden=16)),
        normal(3, 3, 64, 64),
    )
    rests = [layer.training for layer in model.body.modules()]
    assert rests == [layer.training for layer in twin["modules"](mirrored.body)]
    assert not any(rests)
    assert mirrored.head.training
    groups, others = transfer.transfer_groups(model), twin["transfer_groups"](mirrored)
    assert [[p.shape for p in g.parameters()] for g in groups] == [
        [p.shape for p in twin["parameters"](g)] for g in others
    ]
    weights = {name: value + 1 for name, value in model.body.state_dict().items()}
    transfer.load_body(model, weights)
    twin["load_body"](mirrored, weights)
    assert torch.equal(
        state_dict(mirrored.body)["conv1.weight" if arch == "resnet18" else "features.0.weight"],
        next(iter(weights.values())),
    )
    assert list(named_parameters(mirrored)) == [name for name, _ in model.named_parameters()]


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("nn.Conv2d(3, 5, 3, dilation=2)", "dilation=2"),
        ("nn.Sequential(nn.Linear(3, 5), nn.LSTM(5, 5))", r"nn\.LSTM"),
        ("nn.BatchNorm2d(3, affine=False)", "affine=False"),
        ("F.cross_entropy(x, y, ignore_index=0)", "ignore_index"),
        ("F.interpolate(x, scale_factor=2)", "interpolate"),
        ("nn.init.orthogonal_(w)", "orthogonal_"),
        ("model.register_forward_hook(watch)", "register_forward_hook"),
        ("torch.optim.SGD(p, lr=0.1, dampening=0.5)", "dampening"),
        ("torch.optim.LBFGS(p)", "LBFGS"),
        ("torch.utils.data.DataLoader(dset)", "DataLoader"),
        ("def f(relu, x):\n    return F.relu(x)", r"F\.relu"),
    ],
)
def test_what_cannot_be_is_named(code, named):
    with pytest.raises(PeelError, match=named) as caught:
        refuse_leftovers(in_tensor_terms(code))
    assert 'peel to "torch"' in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        "x = torch.nn_like  # Linear in a comment",
        "optimizer.state_dict()",
        "x.to(device).float()",
        "total.requires_grad_()",
        "s = 'nn.Linear(3, 2)'",
        "frame.apply(str)",
    ],
)
def test_what_is_not_torch_nns_stays(code):
    assert in_tensor_terms(code) == code
    assert leftovers(code) == []


def test_optimizers_and_clipping():
    code = """
    def make(params):
        return [
            torch.optim.SGD(params, 0.1, 0.9, nesterov=True, foreach=False),
            torch.optim.RMSprop(params, lr=0.1, alpha=0.9),
            torch.optim.AdamW(params, lr=0.1, betas=(0.8, 0.9), fused=True, amsgrad=False),
            torch.optim.Adagrad(params, lr=0.1),
            torch.optim.Adam(params, lr=0.1, weight_decay=0.1),
        ]

    def clipped(params):
        return nn.utils.clip_grad_norm_(params, max_norm=1.0)
    """
    ends = []
    for run in (run_original, run_converted):
        names = run(code)
        params = [normal(5).requires_grad_()]
        for optimizer in names["make"](params):
            for _ in range(3):
                optimizer.zero_grad()
                (params[0].square().sum() * 3).backward()
                names["clipped"](params)
                optimizer.step()
        ends.append(params[0].detach())
    assert_close(ends[1], ends[0], 1e-9)
