"""The public names are a promise: a change to them must be made here too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import satsuma

FROZEN = """
    ActivationStats AdaGrad Adam AdamW AdaptiveConcatPool2d ArrayDataset BoxBlock Brightness CategoryBlock
    Checkpoint ClassificationInterpretation CoarseDropout ColReader ColSplitter Contrast ConvNeXt CropPad CutMix
    DataBlock DataLoader DataLoaders Dihedral EarlyStopping Edits EpochRow Evaluation Fault Faults Flip Frame
    FuncSplitter GaussianNoise GrandparentSplitter GroupSplitter Hook Hue ImageBlock ImageClassifierCleaner
    ImageDataLoaders IndexSplitter Interpretation ItemGetter Journal LabelReport Learner LoaderSpeeds MaskBlock
    MissingExtraError MixUp MobileNetV3 ModelFileError MultiCategoryBlock Normalize OutOfMemoryError ParentSplitter
    Plan PointBlock Prediction Predictions Predictor Profile Progress RMSprop RandomBlur RandomErasing RandomGrey
    RandomJPEG RandomNoise RandomResizedCrop RandomSplitter RateFinder Recorder RegexLabeller RegressionBlock
    ResNet Resize Rotate Run SGD SatsumaError Saturation Shear Shift SigmoidRange SqueezeNet Step StepRow
    StratifiedSplitter TTA TrainingOnly TransferModel TransformBlock UserError Validation Warp WeightsError Zoom
    __version__ accuracy accuracy_multi aug_transforms average_precision binary_accuracy binary_cross_entropy
    binary_loss constant convert_weights convnext_atto convnext_femto convnext_nano convnext_pico convnext_tiny
    cosine create_head cross_entropy error_rate evaluate exponential_decay f1_multi f_beta find_faults find_weights
    fit get_files get_image_files heat_map initialise inverse_decay joined label_report layer_stats leaky_relu
    linear linear_model load_body load_learner load_mnist loader_speeds log_softmax logistic_regression mae
    mean_average_precision mlp mnist_loss mobilenetv3_large_100 model_graph model_table mse nll one_cycle
    one_cycle_momentum parent_label piecewise pretrained_statistics product r2_score read_idx read_image relu
    resnet18 resnet34 resnet50 rmse set_seed sigmoid simple_net small_cnn smooth_l1 softmax squeezenet1_1
    step_decay tanh top_k_accuracy transfer_groups using_attr vision_learner warm_restarts warmup
"""


def test_the_public_names_are_frozen() -> None:
    assert sorted(satsuma.__all__) == FROZEN.split()


def test_every_public_name_loads_from_its_home_and_says_what_it_is() -> None:
    for name in satsuma.__all__:
        part = getattr(satsuma, name)
        assert name == "__version__" or getattr(part, "__doc__", None), f"{name} has no docstring"


def test_what_editors_see_is_what_there_is() -> None:
    stub = ast.parse((Path(satsuma.__file__).with_suffix(".pyi")).read_text())
    seen = {a.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert seen == satsuma.PUBLIC
    assert set(satsuma.__all__) <= set(dir(satsuma))


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(AttributeError, match="did you mean 'Learner'"):
        _ = satsuma.Lerner


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import satsuma", ("torch", "numpy", "pandas", "matplotlib", "sklearn", "PIL", "rich")),
        ("import satsuma.cli.main", ("torch", "numpy", "pandas", "matplotlib", "sklearn")),
        ("import satsuma; satsuma.Learner", ("pandas", "matplotlib", "sklearn", "torchmetrics", "jinja2")),
    ],
)
def test_heavy_libraries_load_on_first_use(statement: str, absent: tuple[str, ...]) -> None:
    code = f"{statement}; import sys; print([n for n in {absent!r} if n in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_version_is_the_changelogs() -> None:
    changelog = (Path(__file__).parents[1] / "CHANGELOG.md").read_text()
    assert f"## [{satsuma.__version__}]" in changelog
