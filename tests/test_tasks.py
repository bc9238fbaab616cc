"""Tasks: the training loop and its checkpoints, the folder of a run, configurations, the plain network."""

import errno
import json
import os
import re
import signal
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import equivax.tasks._checkpoint as checkpoint_module
from equivax.data import PROTOCOLS, Sizes
from equivax.tasks import (
    PRESETS,
    Checkpoints,
    ImageConfig,
    InterruptedRunError,
    Logits,
    Run,
    TaskError,
    TrainConfig,
    accuracy,
    augmented,
    build_baseline,
    count_parameters,
    cross_entropy,
    fit,
    open_run,
    train_classifier,
)
from equivax.tasks import _figures as figures
from equivax.tasks._augment import _moved
from equivax.tasks._config import essence, from_plain, parse, read_config, to_plain
from equivax.tasks._fit import restore_average
from equivax.tasks._measure import accuracy_over, measure, wilson, worst
from equivax.tasks._registry import TASKS
from equivax.tasks._run import create_run, latest_unfinished

CONFIG = TrainConfig(epochs=4, batch_size=10, learning_rate=1e-2, ema=0.9, label_smoothing=0.1, clip=1.0)


class Tiny(eqx.Module):
    """A perceptron on 4x4 images; noise when it is called with a key, so that keys matter."""

    layers: eqx.nn.MLP
    constant: np.ndarray

    def __init__(self, *, key):
        self.layers = eqx.nn.MLP(16, 3, 8, 1, dtype=jnp.float32, key=key)
        self.constant = np.ones((), np.float32)

    def __call__(self, image, *, key=None):
        x = image.reshape(-1) * self.constant
        if key is not None:
            x = x + 0.1 * jax.random.normal(key, x.shape, jnp.float32)
        return self.layers(x)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(64, 4, 4)).astype(np.float32)
    return images, (images.mean((1, 2)) * 9 % 3).astype(np.uint8)


def train(data, config=CONFIG, **options):
    model = Tiny(key=jax.random.key(1))
    return fit(model, cross_entropy(config.label_smoothing), data, config, key=jax.random.key(2), **options)


def same(left, right):
    pairs = zip(
        jax.tree.leaves(eqx.filter(left, eqx.is_array)), jax.tree.leaves(eqx.filter(right, eqx.is_array)), strict=True
    )
    return all(a.dtype == b.dtype and bool(jnp.array_equal(a, b)) for a, b in pairs)


def timeless(history):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in history]


def test_training_learns_in_float32_and_leaves_its_inputs_alone(data):
    model = Tiny(key=jax.random.key(1))
    fitted = fit(model, cross_entropy(), data, CONFIG, key=jax.random.key(2))
    assert fitted.steps == 4 * 6
    assert [line["epoch"] for line in fitted.history] == [1, 2, 3, 4]
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(fitted.average, eqx.is_inexact_array))} == {
        np.dtype("float32")
    }
    assert isinstance(fitted.average.constant, np.ndarray)
    assert not same(fitted.model, fitted.average)
    assert same(model, Tiny(key=jax.random.key(1)))


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_killed_run_resumes_to_the_same_bits(data, tmp_path, epoch):
    class KilledError(Exception):
        pass

    def kill(line):
        if line["epoch"] == epoch + 1:
            raise KilledError

    logits = Logits(Tiny(key=jax.random.key(1)), batch=50)
    validate = lambda m: {"validation_accuracy": accuracy(logits(m, data[0]), data[1])}  # noqa: E731
    whole = train(data, validate=validate)
    checkpoints = Checkpoints(tmp_path / "c")
    with pytest.raises(KilledError):
        train(data, validate=validate, checkpoints=checkpoints, save_every=0.0, on_epoch=kill)
    assert checkpoints.steps()[-1] == 6 * epoch
    again = train(data, validate=validate, checkpoints=checkpoints)
    assert same(whole.model, again.model)
    assert same(whole.average, again.average)
    assert timeless(whole.history) == timeless(again.history)
    # What is finished is not trained again.
    assert same(train(data, validate=validate, checkpoints=checkpoints).average, whole.average)
    assert same(restore_average(Tiny(key=jax.random.key(5)), CONFIG, checkpoints), whole.average)


@pytest.fixture
def listening():
    """Python hears Ctrl-C, as it does in a terminal: a shell starts its background jobs deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize(("when", "step"), [(3, 4), (9, 6), (14, 10)])  # the first epoch, between two, the second
def test_ctrl_c_keeps_the_step_that_was_reached(data, tmp_path, monkeypatch, when, step):
    import equivax.tasks._fit as fit_module

    whole, checkpoints, seen = train(data), Checkpoints(tmp_path / "c"), []
    number = fit_module._number

    def interrupt(value, step, kept):
        seen.append(step)
        if len(seen) == when:
            os.kill(os.getpid(), signal.SIGINT)
        return number(value, step, kept)

    monkeypatch.setattr(fit_module, "_number", interrupt)
    with pytest.raises(InterruptedRunError, match="checkpoint of step"):
        train(data, checkpoints=checkpoints, save_every=1e9)
    assert checkpoints.steps() == [step]
    again = train(data, checkpoints=checkpoints)
    assert same(whole.average, again.average)
    assert timeless(whole.history) == timeless(again.history)


def test_two_checkpoints_are_kept(data, tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    train(data, checkpoints=checkpoints, save_every=0.0)
    assert checkpoints.steps() == [18, 24]
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pickle")]


def test_a_full_disk_never_costs_the_previous_checkpoint(data, tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path / "c")
    write = checkpoint_module._write

    def full(target, arrays, meta):
        if target.name == "12":
            (target.parent / "12.orbax-checkpoint-tmp-1").mkdir()
            raise OSError(errno.ENOSPC, "No space left on device")
        write(target, arrays, meta)

    whole = train(data)
    monkeypatch.setattr(checkpoint_module, "_write", full)
    with pytest.raises(TaskError, match=r"No space left on device.*step 6 is kept"):
        train(data, checkpoints=checkpoints, save_every=0.0)
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["6"]
    monkeypatch.setattr(checkpoint_module, "_write", write)
    assert same(train(data, checkpoints=checkpoints).average, whole.average)


def test_a_damaged_checkpoint_is_passed_over(data, tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    whole = train(data, checkpoints=checkpoints, save_every=0.0)
    for file in (tmp_path / "c" / "24").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    assert same(train(data, checkpoints=checkpoints).average, whole.average)


def test_a_checkpoint_of_another_model_is_refused(data, tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(3, {"a": jnp.zeros(3), "b": jnp.zeros(2)}, {})
    with pytest.raises(TaskError, match=r"float64\[3\], expected float64\[4\]"):
        checkpoints.restore({"a": jnp.zeros(4), "b": jnp.zeros(2)})
    with pytest.raises(TaskError, match="absent"):
        checkpoints.restore({"a": jnp.zeros(3)})
    assert Checkpoints(tmp_path / "none").restore({"a": jnp.zeros(3)}) is None


def test_a_loss_that_is_no_number_stops_with_advice(data, tmp_path):
    def broken(model, batch, key):
        return jnp.float32(jnp.nan) * jnp.sum(model(batch[0][0]))

    with pytest.raises(TaskError, match=r"loss is nan at step 1.*learning-rate"):
        fit(
            Tiny(key=jax.random.key(1)),
            broken,
            data,
            CONFIG,
            key=jax.random.key(2),
            checkpoints=Checkpoints(tmp_path / "c"),
        )
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 65},
        {"warmup": 2.0},
        {"ema": 1.0},
        {"label_smoothing": 1.0},
        {"learning_rate": 0.0},
    ],
)
def test_configurations_that_make_no_sense(data, change):
    with pytest.raises(TaskError, match=next(iter(change))):
        train(data, TrainConfig(**({"batch_size": 10} | change)))
    with pytest.raises(TaskError, match="different numbers of examples"):
        train((data[0], data[1][:-1]))


def test_the_plain_network_has_as_many_weights():
    for parameters in (5_000, 26_000, 57_000):
        shape = eqx.filter_eval_shape(build_baseline, parameters, key=jax.random.key(0))
        count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(shape, lambda x: hasattr(x, "size"))))
        assert abs(count - parameters) < 0.05 * parameters
    model = build_baseline(3_000, key=jax.random.key(0))
    assert model(jnp.ones((28, 28), jnp.float32)).shape == (10,)
    assert abs(count_parameters(model) - 3_000) < 150
    shape = eqx.filter_eval_shape(build_baseline, 3_000, 4, 3, key=jax.random.key(0))
    assert eqx.filter_eval_shape(shape, jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)).shape == (4,)


def test_images_are_moved_as_by_scipy():
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(9, 11)).astype(np.float32)
    matrix, shift = np.eye(2) + 0.2 * rng.normal(size=(2, 2)), rng.normal(size=2)
    # SciPy counts (row, column), and rows downwards: (i, j) = (-y, x) about the middle.
    flip = np.array([[0, -1], [1, 0]])
    middle = (np.array(image.shape) - 1) / 2
    about = flip @ matrix @ flip.T
    expected = ndimage.affine_transform(
        np.pad(image, 9), about, middle + 9 + flip @ shift - about @ (middle + 9), order=1
    )[9:-9, 9:-9]
    moved = _moved(jnp.asarray(image), jnp.asarray(matrix, jnp.float32), jnp.asarray(shift, jnp.float32))
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    colour = jnp.dstack([image, 2 * image, image])
    found = _moved(colour, jnp.asarray(matrix, jnp.float32), jnp.asarray(shift, jnp.float32))
    np.testing.assert_allclose(found[..., 1], 2 * expected, atol=2e-5)


def first_and_second_moments(images):
    """The middle of each image, and its spread about there along x, across and along y, in pixels."""
    n = images.shape[1]
    x = np.arange(n) - (n - 1) / 2
    mass = images.sum((1, 2))
    X, Y = (images.sum(1) @ x / mass), -(images.sum(2) @ x / mass)
    xx, yy = (images.sum(1) @ x**2 / mass), (images.sum(2) @ x**2 / mass)
    xy = -np.einsum("nij,i,j->n", images, x, x) / mass
    return np.stack([X, Y], 1), np.stack([xx - X**2, xy - X * Y, yy - Y**2], 1)


def test_images_are_turned_and_deformed_anew():
    n = 41
    x = np.arange(n, dtype=np.float32) - (n - 1) / 2
    bar = np.exp(-(x[None, :] ** 2) / (2 * 25) - x[:, None] ** 2 / (2 * 9)).astype(np.float32)
    batch = jnp.asarray(np.repeat(bar[None], 4_000, 0)), jnp.zeros(4_000, jnp.int32)

    def seen(seed=0, **options):
        # A loss of which the images are the gradient.
        loss = augmented(lambda m, b, key: jnp.sum(m * b[0]), **options)
        return np.asarray(jax.grad(loss)(jnp.zeros_like(batch[0]), batch, jax.random.key(seed)), np.float64)

    assert np.array_equal(seen(turns=False), batch[0])
    assert np.array_equal(seen(), seen())
    assert not np.array_equal(seen(), seen(seed=1))
    middle, spread = first_and_second_moments(seen())
    np.testing.assert_allclose(middle, 0, atol=1e-3)
    # Turned by a, the spread along x is 25 cos^2 a + 9 sin^2 a: 17 on average, with a variance of 8^2 / 2.
    np.testing.assert_allclose(spread.mean(0), [17, 0, 17], atol=0.5)
    np.testing.assert_allclose(spread.var(0), 32, rtol=0.1)
    middle, spread = first_and_second_moments(seen(turns=False, deform=0.05))
    # x -> (1 + delta N) x + delta n / 4 c: the shift of the picture is that of the coordinates to first order.
    np.testing.assert_allclose(middle.std(0), 0.05 * n / 4, rtol=0.1)
    np.testing.assert_allclose(spread.std(0), [2 * 0.05 * 25, 0.05 * np.hypot(25, 9), 2 * 0.05 * 9], rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(spread.T), np.eye(3), atol=0.1)


def test_measures():
    logits = np.array([[3.0, 0.0], [0.0, 1.0], [5.0, 0.0], [0.0, 9.0]])
    labels = np.array([0, 1, 1, 0])
    found = measure(logits, labels)
    assert found["accuracy"] == 0.5
    assert found["confusion"] == [[1, 1], [1, 1]]
    by_zoom = accuracy_over(np.array([0.3, 0.31, 0.65, 1.0]), (0.3, 1.0), logits.argmax(1) == labels)
    assert (by_zoom["count"][0], by_zoom["count"][12], by_zoom["count"][-1], sum(by_zoom["count"])) == (2, 1, 1, 4)
    assert (by_zoom["accuracy"][0], by_zoom["accuracy"][12], by_zoom["accuracy"][1]) == (1.0, 0.0, None)
    assert by_zoom["at"][0] == pytest.approx(0.3 + 0.7 / 48)
    assert [i for i, _, _ in worst(logits, labels, 5)] == [3, 2]
    low, high = wilson(98, 100)
    assert 0.92 < low < 0.98 < high < 1


def test_a_run_is_complete_or_says_what_is_missing(tmp_path):
    run = create_run(tmp_path / "r", "rotated-mnist", {"a": 1})
    assert open_run(tmp_path / "r") == run
    with pytest.raises(TaskError, match=r"incomplete run, metrics.json is missing.*train rotated-mnist --resume"):
        run.read("metrics.json")
    with pytest.raises(TaskError, match="already holds a run"):
        create_run(tmp_path / "r", "rotated-mnist", {})
    with pytest.raises(TaskError, match="no such folder"):
        open_run(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match="not a run"):
        open_run(tmp_path / "empty")
    (tmp_path / "r" / "metrics.json").write_text('{"half": ')
    with pytest.raises(TaskError, match="damaged"):
        run.read("metrics.json")
    content = json.loads((tmp_path / "r" / "config.json").read_text())
    (tmp_path / "r" / "config.json").write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(TaskError, match=r"another version.*format 99"):
        open_run(tmp_path / "r")


def test_a_full_disk_leaves_no_half_written_run(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    run = create_run(tmp_path / "r", "t", {})
    run.write("metrics.json", {"value": 1})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        run.write("metrics.json", {"value": 2})
    assert run.read("metrics.json") == {"value": 1}
    assert sorted(p.name for p in run.path.iterdir()) == ["config.json", "metrics.json"]
    with pytest.raises(OSError, match="No space"):
        create_run(tmp_path / "s", "t", {})
    assert not (tmp_path / "s").exists()


def test_json_knows_no_nan_and_no_arrays(tmp_path):
    run = Run(tmp_path)
    run.write("a.json", {"x": float("nan"), "y": np.float32(1), "z": np.arange(3), "p": tmp_path, 3: (1, True, None)})
    assert run.read("a.json") == {"x": None, "y": 1.0, "z": [0, 1, 2], "p": str(tmp_path), "3": [1, True, None]}


def test_the_newest_unfinished_run(tmp_path):
    with pytest.raises(TaskError, match="no unfinished run"):
        latest_unfinished("t", tmp_path)
    for i, name in enumerate(("t-1", "t-2", "t-3")):
        run = create_run(tmp_path / name, "t", {})
        os.utime(run.path / "config.json", (i, i))
    run.write("metrics.json", {})
    assert latest_unfinished("t", tmp_path).name == "t-2"


CLASSIFYING = [name for name, task in TASKS.items() if task.train == "_image_classification:train_classifier"]


@pytest.mark.parametrize("task", CLASSIFYING)
def test_one_configuration_for_all_images(task):
    presets = TASKS[task].part("presets")
    assert list(presets) == ["tiny", "small", "default", "best", "m2"]
    for name, make in presets.items():
        config, meant = make(), PRESETS[name]()
        assert (config.preset, config.model, config.train) == (name, meant.model, meant.train)
        assert parse(["--preset", name], task) == config
        assert from_plain(type(config), json.loads(json.dumps(to_plain(config))), "file") == config
    if task in PROTOCOLS:
        config = parse([], task)
        assert Sizes(config.train_images, config.validation_images, config.test_images) == PROTOCOLS[task].sizes
        assert parse(["--preset", "tiny"], task).train_images == 1_500
        best, there = parse(["--preset", "best"], task), PROTOCOLS[task].sizes
        assert (best.train_images, best.validation_images) == (there.train + there.validation, 0)
        assert best.augment
        assert not parse(["--preset", "best", "--no-augment"], task).augment
    assert TASKS[task].part("train") is train_classifier


def test_every_set_of_images_can_be_trained_on():
    assert set(CLASSIFYING) == {*PROTOCOLS, "classify"}


def test_figures_of_many_classes_and_of_none(tmp_path):
    many = np.eye(40, dtype=int).tolist()
    many[3][3] = 0  # nothing of this class to test on
    figure = figures.confusion(many, [f"a class with a long name, number {i}" for i in range(40)])
    assert max(figure.get_size_inches()) < 20
    few = figures.confusion([[0, 0], [1, 2]], ["cat", "dog"])
    assert {"-", "66.7%", "1"} <= {text.get_text() for text in few.axes[0].texts}
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    (alone,) = figures.training(history).axes
    assert alone.lines[0].get_ydata().tolist() == [1.0, 0.5]
    _, beside = figures.training([line | {"validation_accuracy": 0.25 * line["epoch"]} for line in history]).axes
    assert beside.lines[0].get_ydata().tolist() == [25, 50]


RESULTS = sorted((Path(__file__).parents[1] / "benchmarks" / "results").glob("rotated_mnist_*.json"))


@pytest.mark.parametrize("result", RESULTS, ids=lambda path: path.stem)
def test_the_command_of_a_result_gives_the_configuration_that_it_is_of(result):
    stored = json.loads(result.read_text())
    options = re.sub(r"python benchmarks/rotated_mnist.py|--seeds( \d+)+|--name \S+|--options", "", stored["command"])
    found = to_plain(parse([*options.split(), "--seed", str(stored["runs"][0]["seed"])]))

    def part(whole, of):
        return {key: part(whole[key], value) if isinstance(value, dict) else whole[key] for key, value in of.items()}

    # A result lacks the options that there were not yet.
    assert part(found, stored["config"]) == stored["config"]


@pytest.mark.parametrize("preset", PRESETS)
def test_configurations_survive_a_file(tmp_path, preset):
    config = PRESETS[preset]()
    assert config.preset == preset
    create_run(tmp_path / "r", "rotated-mnist", to_plain(config))
    assert read_config(tmp_path / "r") == config
    assert read_config(tmp_path / "r" / "config.json") == config


def test_the_command_line_changes_presets_and_files(tmp_path):
    assert parse(["--preset", "tiny"]) == PRESETS["tiny"]()
    assert parse(["--preset=tiny", "--epochs", "3"]).train.epochs == 3
    config = parse(["--preset", "tiny", "--seed", "7", "--out", "x", "--offline"])
    create_run(tmp_path / "r", "rotated-mnist", to_plain(config))
    again = parse(["--config", str(tmp_path / "r"), "--epochs", "9"])
    assert again.out is None
    assert (again.train.seed, again.train.epochs) == (7, 9)
    assert essence(parse(["--resume", "--out", str(tmp_path / "r")])) == essence(config)
    with pytest.raises(TaskError, match=r"of the task 'rotated-mnist'.*`equivax train rotated-mnist`"):
        parse(["--config", str(tmp_path / "r")], "scale-mnist")
    with pytest.raises(TaskError, match="leave the other options away"):
        parse(["--resume", "--out", str(tmp_path / "r"), "--seed", "8"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"nonsense": 1}, "unknown field 'nonsense'"),
        ({"train": {"epochs": "many"}}, "train: epochs is 'many'; expected int"),
        ({"train": 3}, "expected an object"),
        ({"preset": "huge"}, "preset is 'huge'"),
    ],
)
def test_files_that_are_no_configuration(content, says):
    with pytest.raises(TaskError) as error:
        from_plain(ImageConfig, content, "file")
    assert says in str(error.value)
