"""The demo's real work: handwritten digits as image files, and models that learn to read them.

The images are those bundled with scikit-learn (1,797 of 8 by 8 pixels, from the UCI repository),
so nothing is fetched. scikit-learn, numpy and Pillow are imported where they are used: they are
slow to import, and optional.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lineal.errors import UsageError

INK = 15
"""Grey levels per level of ink: scikit-learn counts 0 to 16, a PNG 0 to 255."""
SPLIT = {"train": 0.6, "val": 0.2, "test": 0.2}


@dataclass(frozen=True)
class Recipe:
    """One way to train a model: a name, and what its run has as `config`."""

    name: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 1
    """Times to go over the data; for forests, rounds in which trees are added."""

    @property
    def config(self) -> dict[str, Any]:
        return {"model": self.model, "epochs": self.epochs, **self.options}


RECIPES = (
    Recipe("naive-bayes", "GaussianNB", {"var_smoothing": 0.01}),
    Recipe("logistic", "SGDClassifier", {"loss": "log_loss", "alpha": 0.0005}, epochs=15),
    Recipe("tree", "DecisionTreeClassifier", {"max_depth": 12}),
    Recipe("forest-20", "RandomForestClassifier", {"n_estimators": 20}, epochs=5),
    Recipe("forest-100", "RandomForestClassifier", {"n_estimators": 100}, epochs=5),
    Recipe("neighbours-3", "KNeighborsClassifier", {"n_neighbors": 3}),
    Recipe(
        "mlp-32",
        "MLPClassifier",
        {"hidden_layer_sizes": [32], "learning_rate_init": 0.005},
        epochs=20,
    ),
    Recipe(
        "mlp-128",
        "MLPClassifier",
        {"hidden_layer_sizes": [128], "learning_rate_init": 0.005},
        epochs=20,
    ),
    Recipe("svm-rbf", "SVC", {"C": 10.0, "gamma": 0.02}),
)


def require() -> None:
    """Raise UsageError, saying what to install, unless all that the demo needs is there."""
    try:
        import PIL.Image  # noqa: F401 - only whether it can be imported
        import sklearn.datasets  # noqa: F401 - only whether it can be imported
    except ImportError as error:
        raise UsageError(
            f"The demo trains real models and needs scikit-learn and Pillow ({error}); "
            "install them with `pip install 'lineal[demo]'`"
        ) from error


def write_images(folder: str) -> int:
    """Write every digit as `folder/<digit>/<number>.png`; returns how many."""
    from PIL import Image  # optional and slow
    from sklearn.datasets import load_digits  # optional and slow

    digits = load_digits()
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        os.makedirs(os.path.join(folder, str(digit)), exist_ok=True)
        image = Image.fromarray((pixels * INK).astype("uint8"))
        image.save(os.path.join(folder, str(digit), f"{number:04d}.png"))
    return len(digits.images)


def split_images(source: str, target: str, seed: int) -> dict[str, int]:
    """Copy images into `target/{train,val,test}/<digit>/`, each digit shared out alike."""
    import random  # only the demo draws lots

    draw = random.Random(seed)  # noqa: S311 - shares out images, guards no secret
    counts = dict.fromkeys(SPLIT, 0)
    for digit in sorted(os.listdir(source)):
        names = sorted(os.listdir(os.path.join(source, digit)))
        draw.shuffle(names)
        first = 0
        for part, share in SPLIT.items():
            last = len(names) if part == "test" else first + round(share * len(names))
            folder = os.path.join(target, part, digit)
            os.makedirs(folder)
            for name in names[first:last]:
                shutil.copyfile(os.path.join(source, digit, name), os.path.join(folder, name))
            counts[part] += last - first
            first = last
    return counts


def read_images(folder: str) -> tuple[Any, Any]:
    """Return pixels (64 of each image, from 0 to 1) and digits of `folder/<digit>/*.png`."""
    import numpy  # optional and slow
    from PIL import Image  # optional and slow

    pixels, digits = [], []
    for digit in sorted(os.listdir(folder)):
        for name in sorted(os.listdir(os.path.join(folder, digit))):
            with Image.open(os.path.join(folder, digit, name)) as image:
                pixels.append(numpy.asarray(image, dtype="float64").ravel() / (16 * INK))
            digits.append(int(digit))
    return numpy.array(pixels), numpy.array(digits)


def train(
    recipe: Recipe, folder: str, seed: int, log: Callable[[dict[str, float]], object]
) -> tuple[Any, dict[str, float]]:
    """Learn from `folder/train`, check on `folder/val`; returns the model and its last metrics.

    log: called with the metrics of every epoch.
    """
    from sklearn.metrics import log_loss  # optional and slow

    pixels, digits = read_images(os.path.join(folder, "train"))
    val_pixels, val_digits = read_images(os.path.join(folder, "val"))
    model = build(recipe, seed)
    metrics: dict[str, float] = {}
    for epoch in range(1, recipe.epochs + 1):
        _learn(model, recipe, epoch, pixels, digits)
        metrics = {
            "epoch": float(epoch),
            "train_acc": float(model.score(pixels, digits)),
            "val_acc": float(model.score(val_pixels, val_digits)),
        }
        if hasattr(model, "predict_proba"):
            chances = model.predict_proba(val_pixels)
            metrics["val_loss"] = float(log_loss(val_digits, chances, labels=model.classes_))
        log(metrics)
    return model, metrics


def _learn(model: Any, recipe: Recipe, epoch: int, pixels: Any, digits: Any) -> None:
    if hasattr(model, "partial_fit") and recipe.epochs > 1:
        model.partial_fit(pixels, digits, classes=list(range(10)))
        return
    if "n_estimators" in recipe.options:  # warm start: the trees there are stay, more are added
        model.set_params(n_estimators=recipe.options["n_estimators"] * epoch // recipe.epochs)
    model.fit(pixels, digits)


def build(recipe: Recipe, seed: int) -> Any:
    """Return the untrained model of a recipe."""
    from sklearn import ensemble, linear_model, naive_bayes, neighbors, svm, tree  # see above
    from sklearn.neural_network import MLPClassifier  # optional and slow

    seeded = {"random_state": seed}
    more: dict[str, tuple[Any, dict[str, Any]]] = {
        "GaussianNB": (naive_bayes.GaussianNB, {}),
        "SGDClassifier": (linear_model.SGDClassifier, seeded),
        "DecisionTreeClassifier": (tree.DecisionTreeClassifier, seeded),
        "RandomForestClassifier": (
            ensemble.RandomForestClassifier,
            {**seeded, "warm_start": recipe.epochs > 1},
        ),
        "KNeighborsClassifier": (neighbors.KNeighborsClassifier, {}),
        "MLPClassifier": (MLPClassifier, seeded),
        "SVC": (svm.SVC, seeded),
    }
    make, extra = more[recipe.model]
    return make(**recipe.options, **extra)


def evaluate(model: Any, folder: str) -> dict[str, Any]:
    """Return accuracy and confusion matrix (rows: what it was) on the images in `folder`."""
    from sklearn.metrics import confusion_matrix  # optional and slow

    pixels, digits = read_images(folder)
    return {
        "test_acc": float(model.score(pixels, digits)),
        "images": len(digits),
        "confusion": confusion_matrix(digits, model.predict(pixels)).tolist(),
    }
