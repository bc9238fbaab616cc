"""How a model is trained, whatever the task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """Training: AdamW, a warm-up, then a cosine down to zero; the weights that count are an average over time."""

    epochs: int = 12
    """How often every training example is seen."""
    batch_size: int = 64
    """Examples for each step; what is left at the end of an epoch is dropped (the order changes every epoch)."""
    learning_rate: float = 7e-3
    """The largest learning rate, reached at the end of the warm-up."""
    weight_decay: float = 0.1
    """Decoupled weight decay, on arrays with two axes or more (biases and gains are left alone)."""
    warmup: float = 0.1
    """The part of all steps, from 0 to 1, in which the learning rate rises linearly."""
    ema: float = 0.995
    """Decay of the exponential moving average of the weights, for each step; 0 takes the last weights."""
    label_smoothing: float = 0.05
    """The probability, from 0 to 1, that is spread evenly over all classes in the target."""
    clip: float = 1.0
    """The largest norm of a gradient, above which it is scaled down; 0 leaves it alone."""
    seed: int = 0
    """Of the first weights, the order of the examples, and all else that is random in training."""
