"""What people do: train, predict, check, report. The command line and the pieces that it is made of.

Only `main` and the errors are imported at once. All else comes in with its first use, and with it JAX and matplotlib:
`equivax --help` shall not wait for them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._cli import main as main
from ._errors import InterruptedRunError as InterruptedRunError
from ._errors import TaskError as TaskError

if TYPE_CHECKING:
    from ._audit import audit as audit
    from ._augment import augmented as augmented
    from ._baseline import PlainCNN as PlainCNN
    from ._baseline import build_baseline as build_baseline
    from ._check import CheckConfig as CheckConfig
    from ._check import check as check
    from ._checkpoint import Checkpoints as Checkpoints
    from ._classification import Logits as Logits
    from ._classification import accuracy as accuracy
    from ._classification import cross_entropy as cross_entropy
    from ._classifier import ModelConfig as ModelConfig
    from ._classifier import build_classifier as build_classifier
    from ._config import PRESETS as PRESETS
    from ._config import ClassifyConfig as ClassifyConfig
    from ._config import ImageConfig as ImageConfig
    from ._fit import Fitted as Fitted
    from ._fit import fit as fit
    from ._image_classification import train_classifier as train_classifier
    from ._predict import PredictConfig as PredictConfig
    from ._predict import predict as predict
    from ._rebuild import ReportConfig as ReportConfig
    from ._rebuild import report as report
    from ._run import Run as Run
    from ._run import open_run as open_run
    from ._segment_audit import audit_segmenter as audit_segmenter
    from ._segment_config import DigitScenesConfig as DigitScenesConfig
    from ._segment_config import Isbi2012Config as Isbi2012Config
    from ._segment_config import SegmentConfig as SegmentConfig
    from ._segment_measure import v_rand as v_rand
    from ._segmentation import train_segmenter as train_segmenter
    from ._segmenter import ImageSegmenter as ImageSegmenter
    from ._segmenter import SegmenterConfig as SegmenterConfig
    from ._segmenter import build_segmenter as build_segmenter
    from ._tiles import TiledLogits as TiledLogits
    from ._tiles import TilesConfig as TilesConfig
    from ._train_config import TrainConfig as TrainConfig
    from ._trained import load_model as load_model
    from ._unet import UNet as UNet
    from ._unet import build_unet as build_unet
    from ._weights import count_parameters as count_parameters

_HOME = {
    "audit": "_audit",
    "PlainCNN": "_baseline",
    "build_baseline": "_baseline",
    "augmented": "_augment",
    "CheckConfig": "_check",
    "check": "_check",
    "Checkpoints": "_checkpoint",
    "Logits": "_classification",
    "accuracy": "_classification",
    "cross_entropy": "_classification",
    "ModelConfig": "_classifier",
    "build_classifier": "_classifier",
    "PRESETS": "_config",
    "ClassifyConfig": "_config",
    "ImageConfig": "_config",
    "Fitted": "_fit",
    "fit": "_fit",
    "train_classifier": "_image_classification",
    "PredictConfig": "_predict",
    "predict": "_predict",
    "ReportConfig": "_rebuild",
    "report": "_rebuild",
    "Run": "_run",
    "open_run": "_run",
    "audit_segmenter": "_segment_audit",
    "DigitScenesConfig": "_segment_config",
    "Isbi2012Config": "_segment_config",
    "SegmentConfig": "_segment_config",
    "v_rand": "_segment_measure",
    "train_segmenter": "_segmentation",
    "ImageSegmenter": "_segmenter",
    "SegmenterConfig": "_segmenter",
    "build_segmenter": "_segmenter",
    "TiledLogits": "_tiles",
    "TilesConfig": "_tiles",
    "TrainConfig": "_train_config",
    "load_model": "_trained",
    "UNet": "_unet",
    "build_unet": "_unet",
    "count_parameters": "_weights",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
