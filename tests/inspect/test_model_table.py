"""The model as a table: shapes, parameters and multiply-adds, by hand and against torch's own count."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import satsuma as sm
from satsuma.learner.freezing import set_frozen


def test_multiply_adds_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 6, (3, 5), stride=2, groups=2, bias=False), nn.Flatten(), nn.Linear(6 * 4 * 4, 7)
    )
    table = sm.model_table(model, torch.zeros(3, 4, 9, 11))
    conv, flat, linear = table.rows
    assert conv.shape == (6, 4, 4)
    assert conv.multiply_adds == (6 * 4 * 4) * (4 // 2) * 3 * 5  # each output sums a group's channels over the kernel
    assert conv.parameters == 6 * 2 * 3 * 5
    assert (flat.shape, flat.parameters, flat.multiply_adds) == ((96,), 0, 0)
    assert (linear.multiply_adds, linear.parameters) == (96 * 7, 96 * 7 + 7)
    assert table.multiply_adds == conv.multiply_adds + linear.multiply_adds


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (sm.small_cnn(), (1, 28, 28)),
        (sm.mobilenetv3_large_100(5), (3, 32, 32)),
        (nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2, groups=1), nn.Conv2d(4, 4, 3, dilation=2)), (3, 7, 5)),
    ],
)
def test_multiply_adds_are_half_of_the_operations_that_torch_counts(model, shape) -> None:
    x = torch.zeros(1, *shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(x)
    assert 2 * sm.model_table(model, x).multiply_adds == counter.get_total_flops()


def test_attention_counts_its_projections_and_products() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x)[0]

    table = sm.model_table(Attends(), torch.zeros(2, 5, 6))
    assert table.multiply_adds == 4 * 5 * 6 * 6 + 2 * 5 * 5 * 6
    assert table.rows[0].parameters == 4 * 6 * 6 + 4 * 6


def test_resnet18_has_its_known_cost() -> None:
    table = sm.model_table(sm.resnet18(), torch.zeros(1, 3, 224, 224))
    assert table.multiply_adds == 1_814_073_344  # "1.8 G" in the papers
    assert table.parameters == 11_689_512
    assert table.parameters == sum(row.parameters for row in table.rows)
    assert "1.81 billion multiply-adds for one sample of 3×224×224" in str(table)


def test_shared_and_own_parameters_count_once() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.layer = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x)) * self.scale

    table = sm.model_table(Scaled(), torch.zeros(1, 3))
    assert [(row.name, row.parameters) for row in table.rows] == [("layer", 12), ("layer", 0), ("", 3)]
    assert table.parameters == 15


def test_a_learners_summary_says_what_is_frozen() -> None:
    x = torch.randint(0, 255, (7, 3, 40, 40), dtype=torch.uint8)
    data = sm.DataLoaders.from_arrays(x, torch.arange(7) % 2, valid_pct=0.3)
    learn = sm.Learner(data, sm.TransferModel("squeezenet1_1", 2), splitter=sm.transfer_groups, progress=False)
    set_frozen(learn, -1)
    table = learn.summary()
    by_name = {row.name: row.trained for row in table.rows}
    assert by_name["body.features.0"] == "no"
    assert by_name["head.8"] == "yes"
    assert by_name["body.features.1"] == ""  # a ReLU has nothing to train
    assert "frozen" in table.total
    html = table._repr_html_()
    assert html.count("<tr>") == len(table.rows) + 1
    assert "3×40×40" in html


def test_names_are_text_and_never_markup() -> None:
    model = nn.Sequential()
    model.add_module("<b>", nn.Linear(2, 2))
    assert "<b>" not in sm.model_table(model, torch.zeros(1, 2)).html()
