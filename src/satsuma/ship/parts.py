"""The fixed table of what a file may name. Whatever is not in it cannot be built from a file."""

import functools
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

TORCH_LAYERS = (
    "Sequential Identity Flatten Unflatten Linear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d "
    "BatchNorm1d BatchNorm2d BatchNorm3d GroupNorm LayerNorm InstanceNorm1d InstanceNorm2d Dropout Dropout2d "
    "MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d "
    "ReLU ReLU6 LeakyReLU PReLU ELU SELU GELU SiLU Mish Hardswish Sigmoid Tanh Softplus Softmax LogSoftmax LogSigmoid "
    "Embedding EmbeddingBag ZeroPad2d ReflectionPad2d Upsample PixelShuffle"
)
TORCH_LOSSES = "CrossEntropyLoss NLLLoss BCELoss BCEWithLogitsLoss MSELoss L1Loss SmoothL1Loss HuberLoss"

# module → the names in it that a file may use
TABLE: Mapping[str, str] = MappingProxyType(
    {
        "torch.nn": f"{TORCH_LAYERS} {TORCH_LOSSES}",
        "torch.nn.functional": "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy "
        "binary_cross_entropy_with_logits",
        "torch.optim": "SGD Adam AdamW Adagrad RMSprop",
        "satsuma.functional.losses": "mnist_loss binary_cross_entropy binary_loss nll cross_entropy mse mae smooth_l1",
        "satsuma.functional.label_metrics": "accuracy_multi f_beta f1_multi average_precision mean_average_precision",
        "satsuma.functional.metrics": "accuracy error_rate top_k_accuracy binary_accuracy rmse r2_score",
        "satsuma.optim.optimizers": "SGD Adam AdamW AdaGrad RMSprop",
        "satsuma.optim.schedules": "constant step_decay inverse_decay exponential_decay cosine linear one_cycle "
        "one_cycle_momentum warm_restarts piecewise joined warmup product",
        "satsuma.nn.layers": "GaussianNoise",
        "satsuma.nn.resnet": "ResNet resnet18 resnet34 resnet50",
        "satsuma.nn.convnext": "ConvNeXt convnext_atto convnext_femto convnext_nano convnext_pico convnext_tiny",
        "satsuma.nn.mobilenet": "MobileNetV3 mobilenetv3_large_100",
        "satsuma.nn.heads": "AdaptiveConcatPool2d SigmoidRange create_head",
        "satsuma.nn.squeezenet": "SqueezeNet squeezenet1_1",
        "satsuma.nn.transfer": "TransferModel",
        "satsuma.nn.cnn": "small_cnn",
        "satsuma.nn.linear": "linear_model logistic_regression simple_net mlp",
        "satsuma.data.arrays": "pixels_to_float",
        "satsuma.data.block": "DataBlock",
        "satsuma.data.blocks": "CategoryBlock RegressionBlock TransformBlock",
        "satsuma.data.edits": "Edits",
        "satsuma.data.multi_category": "MultiCategoryBlock",
        "satsuma.data.getters": "get_files parent_label RegexLabeller using_attr ColReader ItemGetter",
        "satsuma.data.splitters": "RandomSplitter StratifiedSplitter GrandparentSplitter ParentSplitter IndexSplitter "
        "ColSplitter FuncSplitter GroupSplitter",
        "satsuma.train.mixing": "CutMix MixUp",
        "satsuma.train.early_stopping": "EarlyStopping",
        "satsuma.vision.blocks": "ImageBlock",
        "satsuma.vision.image": "get_image_files",
        "satsuma.vision.effects": "CoarseDropout RandomBlur RandomErasing RandomJPEG RandomNoise",
        "satsuma.vision.lighting": "Brightness Contrast Hue RandomGrey Saturation",
        "satsuma.vision.normalize": "Normalize",
        "satsuma.vision.targets": "BoxBlock MaskBlock PointBlock",
        "satsuma.data.transforms": "TrainingOnly",
        "satsuma.vision.geometry": "CropPad Dihedral Flip RandomResizedCrop Resize Rotate Shear Shift Zoom",
        "satsuma.vision.perspective": "Warp",
    }
)

STATELESS_LAYERS = (  # what may stand outside the model field, where no weights could be given to a layer
    "Identity Flatten Unflatten Dropout Dropout2d MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d "
    "AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d ReLU ReLU6 LeakyReLU ELU SELU GELU SiLU Mish Hardswish "
    "Sigmoid Tanh Softplus Softmax LogSoftmax LogSigmoid ZeroPad2d ReflectionPad2d Upsample PixelShuffle"
)
LOOKS_AT_FILES = "get_files get_image_files parent_label RegexLabeller using_attr ColReader"  # for training alone
TRANSFORM_HOMES = (
    "satsuma.data.arrays satsuma.data.blocks satsuma.data.multi_category satsuma.data.getters satsuma.data.transforms "
    "satsuma.nn.layers satsuma.vision.blocks satsuma.vision.effects satsuma.vision.lighting satsuma.vision.normalize "
    "satsuma.vision.targets satsuma.vision.geometry satsuma.vision.perspective"
)


@functools.cache
def allowed_parts(field: str) -> frozenset[str]:
    """The full names that a field of a model file may use: layers in `model`, losses in `loss`, else transforms."""
    if field == "model":
        homes = [name for name in TABLE if name == "torch.nn" or name.startswith("satsuma.nn.")]
        return frozenset(f"{home}.{name}" for home in homes for name in TABLE[home].split())
    if field == "loss":
        functions = ("torch.nn.functional", "satsuma.functional.losses")
        names = [f"{home}.{name}" for home in functions for name in TABLE[home].split()]
        return frozenset(names) | {f"torch.nn.{name}" for name in TORCH_LOSSES.split()}
    names = [f"{home}.{name}" for home in TRANSFORM_HOMES.split() for name in TABLE[home].split()]
    outside = {f"satsuma.data.getters.{name}" for name in LOOKS_AT_FILES.split()}
    return (frozenset(names) - outside) | {f"torch.nn.{name}" for name in STATELESS_LAYERS.split()}


@functools.cache
def known_parts() -> Mapping[str, Any]:
    """Full name → part, for every entry of the table."""
    found = {}
    for module, names in TABLE.items():
        home = importlib.import_module(module)
        for name in names.split():
            found[f"{module}.{name}"] = getattr(home, name)
    return MappingProxyType(found)


@functools.cache
def part_names() -> Mapping[int, str]:
    """id of a part → its full name in the table."""
    return MappingProxyType({id(part): name for name, part in known_parts().items()})


def full_name(part: Any) -> str | None:
    """The name under which the table holds `part`; None if it does not."""
    return part_names().get(id(part))
