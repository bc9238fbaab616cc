"""The command line: one run from the files to the report, what can be done with it, and what goes wrong in a line."""

import csv
import errno
import json
import os
import re
import subprocess
import sys
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equivax.data._download as download_module
import equivax.data._sources as sources
import equivax.tasks._check as check_module
import equivax.tasks._checkpoint as checkpoint_module
import equivax.tasks._fit as fit_module
import equivax.tasks._image_classification as task_module
import equivax.tasks._trained as trained_module
from equivax.tasks import TaskError, main
from equivax.tasks._registry import TASKS

SMALL = [
    "--preset",
    "tiny",
    "--epochs",
    "2",
    "--train-images",
    "100",
    "--validation-images",
    "20",
    "--test-images",
    "40",
]


class StandIn(eqx.Module):
    """A linear map of the mean over quarter turns: invariant, and compiled in no time."""

    weight: jax.Array
    frame = None

    def __call__(self, image, *, key=None):
        grey = image if image.ndim == 2 else image.mean(-1)
        small = jax.image.resize(grey, (28, 28), "linear")
        return self.weight @ sum(jnp.rot90(small, k) for k in range(4)).reshape(-1)

    def evolution(self, image, n):
        return [(i / n, jnp.full((4, 4), 1 - i / n)) for i in range(n)]

    def count(self, image):
        return {"steps": 3, "function_evaluations": 6}


def build(config, *, size=28, key):
    return StandIn(jax.random.normal(key, (config.classes, 784), jnp.float32) / 28)


def audit(model, config, *, refinements=(1,), key):
    error = 0.5 if os.environ.get("BREAK_A_LAW") else 1e-8
    verdict = {"name": "quarter", "statement": "f(g [u]) = f(u)", "error": error, "scale": 1.0, "tolerance": 1e-4}
    return {
        "verdicts": [
            verdict | {"passed": error < 1e-4, "vacuous": False},
            verdict | {"name": "nothing", "passed": True, "vacuous": True},
        ],
        "equivariance": {"quarter": error},
        "angles": {"degrees": [0, 45, 90], "error": [0.0, 0.1, 1e-8], "error_2x": [0.0, 0.02, 1e-8]},
        "refinement": {"sizes": [28, 56], "error": [0.1, 0.02], "order": 2.3},
    }


def stand_in(patch, cache):
    """A world with the embedded subset only, no network, a cache of its own, and a model that compiles in no time."""
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.delenv("EQUIVAX_DATA", raising=False)
    patch.setattr(sources, "_DEBIAN", ())
    patch.setattr(download_module, "_answers", lambda url: False)
    patch.setattr(task_module, "build_classifier", build)
    patch.setattr(trained_module, "build_classifier", build)
    patch.setattr(task_module, "audit", audit)
    patch.setattr(check_module, "audit", audit)
    # The command line turns JAX's cache on; the tests have one already.
    patch.setattr("equivax.tasks._cli._prepare", lambda: None)


@pytest.fixture(autouse=True)
def world(monkeypatch, tmp_path_factory):
    stand_in(monkeypatch, tmp_path_factory.getbasetemp() / "cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "r"
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, tmp_path_factory.getbasetemp() / "cache")
        assert main(["train", "rotated-mnist", *SMALL, "--out", str(folder)]) == 0
    return folder


def complaint(capsys, *words, code=2):
    """What is said on the error stream: a line or two, and no traceback."""
    assert main([str(word) for word in words]) == code
    text = capsys.readouterr().err
    assert text.startswith("equivax: ")
    assert "Traceback" not in text
    assert 1 <= len(text.strip().splitlines()) <= 2
    return text


@pytest.mark.parametrize(
    ("words", "moving"),
    [
        ((), {"baseline-augmented"}),
        (("--augment",), {"model", "baseline-augmented"}),
        (("--deform", "0.1"), {"model", "baseline-plain", "baseline-augmented"}),
    ],
)
def test_training_images_are_moved_where_it_is_asked_for(words, moving, tmp_path, monkeypatch, capsys):
    losses = {}

    def stop(run, name, model, loss, *rest):
        losses[name] = loss
        if len(losses) == 3:
            raise TaskError("enough is known")
        return types.SimpleNamespace(average=model), {"parameters": 3_000}, None

    monkeypatch.setattr(task_module, "_train_and_test", stop)
    said = complaint(capsys, "train", "rotated-mnist", *SMALL, "--baseline", *words, "--out", tmp_path / "run")
    assert "enough is known" in said
    # A model whose logits are three pixels, of an image with one bright one.
    batch = jnp.zeros((1, 9, 9), jnp.float32).at[0, 2, 3].set(1.0), jnp.zeros(1, jnp.int32)
    values = {
        name: {float(loss(lambda image, key: image[2, 2:5], batch, jax.random.key(k))) for k in range(4)}
        for name, loss in losses.items()
    }
    assert {name for name, found in values.items() if len(found) > 1} == moving
    assert set(values) == {"model", "baseline-plain", "baseline-augmented"}


def test_a_deformation_is_no_less_than_none(tmp_path, capsys):
    said = complaint(capsys, "train", "rotated-mnist", *SMALL, "--deform", "-1", "--out", tmp_path / "run")
    assert "deform is -1" in said
    assert not (tmp_path / "run").exists()


def test_a_run_is_one_folder(run):
    assert {p.name for p in run.iterdir()} == {"checkpoints", "config.json", "figures", "metrics.json", "report.html"}
    metrics = json.loads((run / "metrics.json").read_text())
    for name in ("test_accuracy", "validation_accuracy", "parameters", "seconds_total", "seconds_training", "steps"):
        assert metrics[name] >= 0
    assert metrics["parameters"] == 7840
    assert metrics["function_evaluations"] == 6
    assert metrics["equivariance"] == {"quarter": 1e-8}
    assert "EMBEDDED" in metrics["data_source"]
    assert metrics["versions"]["jax"] == jax.__version__
    assert metrics["seconds_total"] >= metrics["seconds_training"]
    assert metrics["images"] == {"train": 100, "validation": 20, "test": 40}
    assert {p.name for p in (run / "figures").iterdir()} == {
        f"{n}.png"
        for n in (
            "training",
            "evolution",
            "accuracy_by_angle",
            "confusion",
            "mistakes",
            "equivariance",
            "refinement",
        )
    }


def test_the_report_stands_alone_and_says_where_the_data_are_from(run):
    page = (run / "report.html").read_text()
    assert "Only 5,000 images" in page
    assert "The data are generated" in page
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page)
    assert "url(" not in page
    assert page.count("data:image/png;base64,") == 7
    assert "vacuous" in page
    assert "equivax train rotated-mnist --preset tiny" in page


def test_the_report_is_written_anew(run, capsys):
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert len((run / "report.html").read_text()) > 0.9 * len(before)


def test_a_check_repeats_the_audit(run, capsys, monkeypatch):
    assert main(["check", str(run)]) == 0
    assert "f(g [u]) = f(u)" in capsys.readouterr().out
    monkeypatch.setenv("BREAK_A_LAW", "1")
    assert main(["check", str(run)]) == 1
    assert "1 of 2 laws fail: quarter" in capsys.readouterr().out


def test_predictions(run, tmp_path, capsys):
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    words = ["predict", str(run), str(tmp_path / "images.npy")]
    assert main([*words, "--out", str(tmp_path / "l.npy"), "--probabilities", str(tmp_path / "p.npy")]) == 0
    labels, probabilities = np.load(tmp_path / "l.npy"), np.load(tmp_path / "p.npy")
    assert np.array_equal(probabilities.argmax(1), labels)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert main([*words, "--labels", str(tmp_path / "l.npy")]) == 0
    assert "Accuracy 100.00%" in capsys.readouterr().out
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(images[:2]):
        Image.fromarray(image).save(tmp_path / "folder" / f"{i}.png")
    Image.fromarray(images[2]).resize((40, 40)).save(tmp_path / "folder" / "large.png")
    assert main(["predict", str(run), str(tmp_path / "folder"), "--out", str(tmp_path / "l.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "l.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["0.png", "1.png", "large.png"]
    assert [int(row["label"]) for row in rows[:2]] == labels[:2].tolist()


def test_images_that_cannot_be_predicted(run, tmp_path, capsys):
    np.save(tmp_path / "nan.npy", np.full((2, 28, 28), np.nan))
    np.save(tmp_path / "rank.npy", np.zeros((2, 28, 28, 2), np.uint8))
    np.save(tmp_path / "oblong.npy", np.zeros((28, 30), np.uint8))
    np.save(tmp_path / "good.npy", np.zeros((28, 28), np.uint8))
    (tmp_path / "empty").mkdir()
    for name, says in (
        ("nan.npy", "NaN"),
        ("rank.npy", "expected (height"),
        ("empty", "empty folder"),
        ("oblong.npy", "square"),
    ):
        assert says in complaint(capsys, "predict", run, tmp_path / name, "--out", tmp_path / "l.npy")
    assert "end the name" in complaint(capsys, "predict", run, tmp_path / "good.npy", "--out", tmp_path / "l.txt")
    np.save(tmp_path / "labels.npy", np.array([10]))
    assert "out of range" in complaint(
        capsys, "predict", run, tmp_path / "good.npy", "--labels", tmp_path / "labels.npy"
    )
    assert not list(tmp_path.glob("l.*"))


def test_unknown_words_get_the_nearest_names(capsys):
    assert "Did you mean train" in complaint(capsys, "trian")
    assert "Did you mean rotated-mnist or" in complaint(capsys, "train", "rotated-mnits")
    assert f"There are {', '.join(TASKS)}." in complaint(capsys, "train", "xyz")


def test_folders_that_are_no_finished_run(run, tmp_path, capsys):
    (tmp_path / "r").mkdir()
    for command in (["check"], ["report"], ["predict"]):
        more = [tmp_path / "x.npy"] if command == ["predict"] else []
        assert "not a run" in complaint(capsys, *command, tmp_path / "r", *more)
    content = json.loads((run / "config.json").read_text())
    (tmp_path / "r" / "config.json").write_text(json.dumps(content))
    assert "--resume --out" in complaint(capsys, "check", tmp_path / "r")
    (tmp_path / "r" / "metrics.json").write_text("{}")
    assert "no checkpoint" in complaint(capsys, "check", tmp_path / "r")
    assert "metrics.json: damaged" in complaint(capsys, "report", tmp_path / "r")
    (tmp_path / "r" / "config.json").write_text(json.dumps(content | {"format": 0}))
    assert "another version" in complaint(capsys, "check", tmp_path / "r")
    (tmp_path / "r" / "config.json").write_text(json.dumps(content | {"task": "knitting"}))
    assert "run of 'knitting'" in complaint(capsys, "check", tmp_path / "r")


def test_ctrl_c_says_how_to_go_on_and_resuming_gives_the_same_result(run, tmp_path, capsys, monkeypatch):
    out, number, seen = tmp_path / "r", fit_module._number, []

    def interrupt(value, step, kept):
        seen.append(step)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return number(value, step, kept)

    monkeypatch.setattr(fit_module, "_number", interrupt)
    text = complaint(capsys, "train", "rotated-mnist", *SMALL, "--out", out, code=130)
    assert f"train rotated-mnist --resume --out {out}" in text
    assert not (out / "metrics.json").exists()
    monkeypatch.setattr(fit_module, "_number", number)
    assert "already holds a run" in complaint(capsys, "train", "rotated-mnist", *SMALL, "--out", out)
    assert main(["train", "rotated-mnist", "--resume", "--out", str(out)]) == 0
    found, meant = (json.loads((folder / "metrics.json").read_text()) for folder in (out, run))
    assert found["resumed"]
    for name in ("test_accuracy", "validation_accuracy", "confusion", "training_steps"):
        assert found[name] == meant[name]
    for one, other in zip(found["history"], meant["history"], strict=True):
        assert one["loss"] == other["loss"]
    assert main(["train", "rotated-mnist", "--resume", "--out", str(out)]) == 0
    assert "finished already" in capsys.readouterr().out


def test_nothing_half_written_is_left_behind(tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    words = ("train", "rotated-mnist", *SMALL, "--out", tmp_path / "r")
    with monkeypatch.context() as patch:
        patch.setattr(task_module, "fit", stop)
        assert "nothing is left behind" in complaint(capsys, *words, code=130)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "_write", full)
        assert "No space left" in complaint(capsys, *words)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "disk is full" in complaint(capsys, *words)
    assert "batch_size" in complaint(capsys, *words, "--batch-size", "1000")
    assert "no such folder" in complaint(capsys, *words, "--data-dir", tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_law_that_fails_is_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setenv("BREAK_A_LAW", "1")
    assert main(["train", "rotated-mnist", *SMALL, "--epochs", "1", "--out", str(tmp_path / "r")]) == 1
    assert (tmp_path / "r" / "report.html").exists()


def test_a_configuration_is_repeated(run, tmp_path):
    assert main(["train", "rotated-mnist", "--config", str(run / "config.json"), "--out", str(tmp_path / "r")]) == 0
    found, meant = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path / "r", run))
    assert found["test_accuracy"] == meant["test_accuracy"]
    assert found["confusion"] == meant["confusion"]


def test_the_plain_network_is_trained_in_the_same_run(tmp_path, monkeypatch):
    import equivax.tasks._baseline as baseline_module

    monkeypatch.setattr(
        task_module, "build_baseline", lambda *sizes, key: baseline_module.PlainCNN(2, 4, *sizes[1:], key=key)
    )
    words = ["train", "rotated-mnist", *SMALL, "--epochs", "1", "--baseline", "--out", str(tmp_path / "r")]
    assert main(words) == 0
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert set(metrics["baseline"]) == {"plain", "augmented"}
    assert "Against a plain network" in (tmp_path / "r" / "report.html").read_text()


def test_images_that_are_turned_and_scaled(tmp_path):
    words = ["train", "rs-mnist", *SMALL, "--epochs", "1", "--validation-images", "0", "--out", str(tmp_path / "r")]
    assert main(words) == 0
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert (metrics["size"], metrics["images"]["validation"], metrics["validation_accuracy"]) == (56, 0, None)
    assert {"accuracy_by_angle.png", "accuracy_by_zoom.png"} < {p.name for p in (tmp_path / "r" / "figures").iterdir()}
    page = (tmp_path / "r" / "report.html").read_text()
    assert "scaled by a factor from U[0.3, 1], upsampled to 56 x 56 pixels" in page
    assert json.loads((tmp_path / "r" / "config.json").read_text())["data"]["size"] == 56


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder of coloured pictures of three sizes, one of them broken, and a run that has seen them."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    for k, name in enumerate(("[red] fox", "blue tit", "green frog")):
        (folder / "all" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (12 + k, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "all" / name / f"{i}.png")
    (folder / "all" / "blue tit" / "torn.png").write_bytes(b"\x89PNG")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, tmp_path_factory.getbasetemp() / "cache")
        # From another folder than the one that it is resumed and asked from: a path must mean the same.
        patch.chdir(folder)
        words = ["--preset", "tiny", "--epochs", "2", "--batch-size", "5", "--size", "16", "--skip-bad", "--out", "r"]
        assert main(["train", "classify", "--images", "all", *words]) == 0
    return folder


def test_classes_keep_their_names(own, tmp_path, capsys):
    data = json.loads((own / "r" / "config.json").read_text())["data"]
    assert (data["classes"], data["size"], data["channels"]) == (["[red] fox", "blue tit", "green frog"], 16, 3)
    metrics = json.loads((own / "r" / "metrics.json").read_text())
    assert metrics["images"] == {"train": 21, "validation": 3, "test": 6}
    assert len(metrics["confusion"]) == 3
    assert "accuracy_by_angle" not in metrics
    page = (own / "r" / "report.html").read_text()
    assert "<b>Skipped: 1</b>" in page
    assert "torn.png" in page
    assert main(["report", str(own / "r")]) == 0
    assert main(["check", str(own / "r")]) == 0
    assert main(["train", "classify", "--resume", "--out", str(own / "r")]) == 0
    fox = own / "all" / "[red] fox"
    assert main(["predict", str(own / "r"), str(fox), "--out", str(tmp_path / "l.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "l.csv").read_text().splitlines()))
    assert {row["label"] for row in rows} <= set(data["classes"])
    capsys.readouterr()
    assert main(["predict", str(own / "r"), str(own / "all" / "blue tit"), "--skip-bad"]) == 0
    printed = capsys.readouterr().out
    assert "Skipped 1 file that" in printed
    assert "9.png" in printed
    assert "torn.png: not a readable picture" in complaint(capsys, "predict", own / "r", own / "all" / "blue tit")


def test_colour_and_grey_are_not_mistaken_for_each_other(own, run, tmp_path, capsys):
    from PIL import Image

    picture = own / "all" / "blue tit" / "0.png"
    Image.open(picture).convert("L").crop((0, 0, 12, 12)).save(tmp_path / "grey.png")
    Image.open(picture).crop((0, 0, 12, 12)).save(tmp_path / "colour.png")
    assert "is grey, and the model was trained in colour" in complaint(
        capsys, "predict", own / "r", tmp_path / "grey.png"
    )
    assert "is in colour" in complaint(capsys, "predict", run, tmp_path / "colour.png")
    assert main(["predict", str(run), str(tmp_path / "colour.png"), "--grey"]) == 0


def test_images_of_ones_own_that_cannot_be_trained_on(own, tmp_path, capsys):
    words = ("train", "classify", "--out", tmp_path / "r")
    assert "--images is missing" in complaint(capsys, *words)
    words += ("--images", own / "all")
    assert "--skip-bad" in complaint(capsys, *words)
    assert "--size N" in complaint(capsys, *words, "--skip-bad")
    assert "batch_size is 64; expected 1 to 21" in complaint(capsys, *words, "--skip-bad", "--size", "16")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("word", ["--help", "tasks", "--version"])
def test_short_answers_do_not_wait_for_jax(word):
    code = f"import sys; sys.argv = ['equivax', {word!r}]\nfrom equivax.tasks import main\ncode = main()\n"
    code += "print('heavy:', sorted({'jax', 'matplotlib', 'orbax', 'diffrax'} & set(sys.modules)))\nsys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stdout
