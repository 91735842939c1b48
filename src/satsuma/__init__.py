"""Satsuma: deep learning that is sweet on top and easy to peel.

    import satsuma as sm

Each public name is loaded from its room when it is first used, so that importing the package costs nothing. What
editors see is in `__init__.pyi`; a test keeps the two alike.
"""

from typing import Any

# the file → the public names that it defines
HOMES = {
    "satsuma.data.arrays": "ArrayDataset",
    "satsuma.data.block": "DataBlock",
    "satsuma.data.blocks": "CategoryBlock RegressionBlock TransformBlock",
    "satsuma.data.dataloaders": "DataLoaders",
    "satsuma.data.edits": "Edits",
    "satsuma.data.getters": "ColReader ItemGetter RegexLabeller get_files parent_label using_attr",
    "satsuma.data.idx": "load_mnist read_idx",
    "satsuma.data.loader": "DataLoader",
    "satsuma.data.multi_category": "MultiCategoryBlock",
    "satsuma.data.loader_speed": "LoaderSpeeds loader_speeds",
    "satsuma.data.seeds": "set_seed",
    "satsuma.data.splitters": "ColSplitter FuncSplitter GrandparentSplitter GroupSplitter IndexSplitter ParentSplitter "
    "RandomSplitter StratifiedSplitter",
    "satsuma.errors": "MissingExtraError ModelFileError OutOfMemoryError SatsumaError UserError WeightsError",
    "satsuma.functional.activations": "leaky_relu log_softmax relu sigmoid softmax tanh",
    "satsuma.functional.label_metrics": "LabelReport accuracy_multi average_precision f1_multi f_beta label_report "
    "mean_average_precision",
    "satsuma.functional.losses": "binary_cross_entropy binary_loss cross_entropy mae mnist_loss mse nll smooth_l1",
    "satsuma.functional.metrics": "accuracy binary_accuracy error_rate r2_score rmse top_k_accuracy",
    "satsuma.hooks.base": "Hook",
    "satsuma.hooks.checkpoint": "Checkpoint",
    "satsuma.inspect.activation_stats": "ActivationStats",
    "satsuma.inspect.heat_map": "heat_map",
    "satsuma.inspect.interpretation": "ClassificationInterpretation Interpretation",
    "satsuma.inspect.model_graph": "model_graph",
    "satsuma.inspect.model_table": "model_table",
    "satsuma.inspect.predictions": "Predictions",
    "satsuma.inspect.cleaner": "ImageClassifierCleaner",
    "satsuma.inspect.journal": "Journal",
    "satsuma.inspect.faults": "Fault Faults",
    "satsuma.learner.data_faults": "find_faults",
    "satsuma.learner.learner": "Learner",
    "satsuma.learner.tta": "TTA",
    "satsuma.learner.vision": "vision_learner",
    "satsuma.nn.cnn": "small_cnn",
    "satsuma.nn.convnext": "ConvNeXt convnext_atto convnext_femto convnext_nano convnext_pico convnext_tiny",
    "satsuma.nn.heads": "AdaptiveConcatPool2d SigmoidRange create_head",
    "satsuma.nn.init": "initialise layer_stats",
    "satsuma.nn.layers": "GaussianNoise",
    "satsuma.nn.linear": "linear_model logistic_regression mlp simple_net",
    "satsuma.nn.mobilenet": "MobileNetV3 mobilenetv3_large_100",
    "satsuma.nn.resnet": "ResNet resnet18 resnet34 resnet50",
    "satsuma.nn.squeezenet": "SqueezeNet squeezenet1_1",
    "satsuma.nn.transfer": "TransferModel load_body transfer_groups",
    "satsuma.optim.optimizers": "AdaGrad Adam AdamW RMSprop SGD",
    "satsuma.optim.schedules": "constant cosine exponential_decay inverse_decay joined linear one_cycle "
    "one_cycle_momentum piecewise product step_decay warm_restarts warmup",
    "satsuma.ship.model_file": "load_learner",
    "satsuma.ship.predictor": "Prediction Predictor",
    "satsuma.ship.weights": "convert_weights find_weights pretrained_statistics",
    "satsuma.train.early_stopping": "EarlyStopping",
    "satsuma.train.evaluate": "Evaluation evaluate",
    "satsuma.train.fit": "EpochRow Plan StepRow Validation fit",
    "satsuma.train.lr_find": "RateFinder",
    "satsuma.hooks.progress": "Progress",
    "satsuma.hooks.recorder": "Recorder",
    "satsuma.train.mixing": "CutMix MixUp",
    "satsuma.train.profile": "Profile",
    "satsuma.train.run": "Run Step",
    "satsuma.version": "__version__",
    "satsuma.vision.aug_transforms": "aug_transforms",
    "satsuma.vision.blocks": "ImageBlock",
    "satsuma.vision.effects": "CoarseDropout RandomBlur RandomErasing RandomJPEG RandomNoise",
    "satsuma.vision.frame": "Frame",
    "satsuma.vision.geometry": "CropPad Dihedral Flip RandomResizedCrop Resize Rotate Shear Shift Zoom",
    "satsuma.vision.perspective": "Warp",
    "satsuma.vision.image": "get_image_files read_image",
    "satsuma.vision.lighting": "Brightness Contrast Hue RandomGrey Saturation",
    "satsuma.vision.loaders": "ImageDataLoaders",
    "satsuma.vision.normalize": "Normalize",
    "satsuma.vision.targets": "BoxBlock MaskBlock PointBlock",
    "satsuma.data.transforms": "TrainingOnly",
}
PUBLIC = {name: home for home, names in HOMES.items() for name in names.split()}

__all__ = list(PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        from satsuma.errors import nearest

        raise AttributeError(f"satsuma has no {name!r}: {nearest(name, PUBLIC)}")
    from importlib import import_module

    value = getattr(import_module(PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(PUBLIC)
