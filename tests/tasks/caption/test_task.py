"""Captions from training to files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convolve
from convolve import models
from convolve.datasets.captions import Captions
from convolve.errors import DataError, ExportError, OptionError
from convolve.layers.caption_head import END, START, UNKNOWN
from convolve.marks import has_mark
from convolve.tasks.caption.attention import draw_attention
from convolve.tasks.caption.evaluation import Evaluation, digest
from convolve.tasks.caption.explanation import WordScore
from convolve.tasks.caption.predictor import WrittenCaption
from convolve.tasks.caption.report import overfitting, repetition
from convolve.tasks.caption.task import Caption
from convolve.tasks.caption.vocabulary import encode_sentences, find_vocabulary, parse_vocabulary
from convolve.training.checkpoints import RunFiles
from tests.tasks.caption.small import caption_folder

OPTIONS: dict[str, Any] = {
    "task": "caption", "network": "show_attend_and_tell_resnet20_cifar", "size": 16, "epochs": 6, "threads": 1,
    "learning_rate": 3e-3, "precision": "fp32", "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("caption")
    convolve.train(str(caption_folder(root / "data", 48)), **OPTIONS, out=root / "run")
    return root / "run"


def test_walls_are_called_by_their_colors(run: Path) -> None:
    """Of images that training has not seen."""
    manifest = json.loads((run / "manifest.json").read_text())
    assert set(manifest["state"]["vocabulary"][3:]) == {"a", "the", "wall", "that", "is", "red", "green", "blue"}
    assert manifest["outputs"] == 11
    found = manifest["results"]["test"]
    assert found["metrics"]["bleu4"] > 0.95
    assert found["metrics"]["repeated"] == 1.0
    assert found["metrics"]["unknown"] == 0.0
    assert found["training"]["images"] > 20
    assert all(one["caption"] in one["references"] for one in found["each"])
    recipe = (run / "recipe.toml").read_text()
    assert 'layout = "captions"' in recipe
    assert "min_count = 1" in recipe
    report = (run / "report.html").read_text()
    assert "are a caption of a training image word for word" in report
    assert ">Attention</h2>" in report


def test_captions_are_written_with_what_was_looked_at(run: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "out", run.parent / "data"
    found = convolve.predict(run, (str(data / "0.png"), str(data / "1.png")), out=out, threads=1, progress=False)
    first, second = found.predictions
    assert isinstance(first, WrittenCaption)
    assert first.caption in ("a wall that is red", "the wall is red")
    assert math.exp(first.log_probability) > 0.2
    assert first.cells()["caption"] == first.entries()[0]["caption"] == first.as_json()["caption"]
    assert json.loads((out / "results.json").read_text()) == [
        {"image_id": 0, "caption": first.caption, "file_name": "0.png"},
        {"image_id": 1, "caption": second.as_json()["caption"], "file_name": "1.png"},
    ]
    assert has_mark(Path(first.overlay))
    with Image.open(first.overlay) as overlay:
        assert overlay.width > 4 * 180  # the image, and one for each word
    (out / "results.json").write_text("[1]")
    with pytest.raises(DataError, match=r"results\.json"):
        convolve.predict(run, (str(data / "0.png"),), out=out, threads=1, progress=False)
    with pytest.raises(OptionError, match="beam cannot be 0"):
        convolve.predict(run, (str(data / "0.png"),), beam=0, progress=False)


def test_images_whose_names_are_no_numbers_count_from_one(run: Path, tmp_path: Path) -> None:
    image = run.parent / "data" / "0.png"
    for name in ("wall.png", "7.png"):
        (tmp_path / name).write_bytes(image.read_bytes())
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    found = convolve.predict(run, (str(tmp_path),), out=tmp_path / "out", threads=1, progress=False)
    assert sum(bool(one.error) for one in found.predictions) == 1
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [one["image_id"] for one in written] == [1, 2]


def test_other_data_is_evaluated_and_unknown_words_count(run: Path, tmp_path: Path) -> None:
    other = caption_folder(tmp_path / "other", 3)
    text = (other / "captions.csv").read_text().replace("2.png,a wall that is blue", "2.png,A crimson wall, indeed.")
    (other / "captions.csv").write_text(text.replace("A crimson wall, indeed.", '"A crimson wall, indeed."'))
    found = convolve.evaluate(run, str(other), threads=1, progress=False).evaluation
    assert isinstance(found, Evaluation)
    assert found.images == 3
    unknown, total = 2, 2 * 5 + 4 * 4 + 6  # with the end of each sentence
    assert found.metrics["unknown"] == pytest.approx(unknown / total)
    assert found.metrics["perplexity"] > 1


def test_a_stopped_training_resumes_to_the_same_weights(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = OPTIONS | {"epochs": 2, "network": "show_and_tell_resnet20_cifar"}
    data = str(caption_folder(tmp_path / "data", 24))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    convolve.train(data, **options, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            convolve.train(data, **options, out=tmp_path / "run")
    convolve.train(resume=tmp_path / "run", progress=False)
    name = "weights.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    found = convolve.compare((tmp_path / "run", run), threads=1, progress=False)
    assert {row.metric for row in found.runs} == {"BLEU-4"}
    with pytest.raises(ExportError, match="A network for captions cannot be exported; use its run"):
        convolve.export(run, out=tmp_path / "export", progress=False)


def test_explanations_of_the_sentence_and_of_a_word(run: Path) -> None:
    image = str(run.parent / "data" / "0.png")
    found = convolve.explain(run, (image,), out=run.parent / "why.html", threads=1, progress=False)
    assert "wall" in found.images[0].prediction
    outputs = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    target = WordScore(torch.tensor([[1, 2, 0], [3, 3, 3]]), torch.tensor([[True, True, False], [False, False, True]]))
    likely = outputs.log_softmax(2)
    expected = torch.stack([likely[0, 0, 1] + likely[0, 1, 2], likely[1, 2, 3]])
    torch.testing.assert_close(target(outputs), expected)
    torch.testing.assert_close(target.take(torch.tensor([1]))(outputs[1:]), expected[1:])


def test_a_classifier_gets_the_network_of_show_and_tell(tmp_path: Path) -> None:
    assert models.counterpart("resnet18", "text") == "show_and_tell_resnet18"
    data = caption_folder(tmp_path / "data", 24)
    options: dict[str, Any] = {"task": "caption", "network": "resnet20_cifar", "size": 16, "progress": False}
    convolve.train(str(data), **options, epochs=1, threads=1, out=tmp_path / "run", min_count=14)
    assert 'network = "show_and_tell_resnet20_cifar"' in (tmp_path / "run" / "recipe.toml").read_text()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert set(manifest["state"]["vocabulary"][3:]) >= {"a", "the", "wall", "that", "is"}
    assert manifest["results"]["test"]["metrics"]["unknown"] > 0.1
    with pytest.raises(
        DataError, match=r"No word occurs 100 times in the training captions; choose a lower --min-count"
    ):
        convolve.train(str(data), **options, out=tmp_path / "other", min_count=100)


def test_the_vocabulary_is_that_of_the_frequent_training_words() -> None:
    captions = Captions((("A dog.", "a dog runs"), ("a cat",)), min_count=2)
    found = find_vocabulary(captions)
    assert found.words == ("<start>", "<unknown>", "<end>", "a", "dog")
    assert found.encode(("a", "cat", "dog")) == [3, UNKNOWN, 4]
    assert found.decode([3, 4, END, 3]) == ("a", "dog")
    assert parse_vocabulary(list(found.words)) == found
    for damaged in (["a"], [*found.words, "a"], "a", [*found.words, 1]):
        with pytest.raises(ValueError, match="vocabulary"):
            parse_vocabulary(damaged)


def test_sentences_of_other_lengths_are_padded_and_weigh_as_their_words() -> None:
    vocabulary = find_vocabulary(Captions((("a dog runs", "dog"), ("a",))))
    a, dog, runs = (vocabulary.indices[word] for word in ("a", "dog", "runs"))
    found = encode_sentences(vocabulary, ((("a", "dog", "runs"), ("dog",)), (("a",),)), "cpu")
    assert found.lengths.tolist() == [4, 2, 2]
    assert found.inputs.tolist() == [[START, a, dog, runs], [START, dog, START, START], [START, a, START, START]]
    assert found.targets.tolist() == [[a, dog, runs, END], [dog, END, START, START], [a, END, START, START]]
    assert found.owners.tolist() == [0, 0, 1]
    values = torch.tensor([[1.0, 2, 3, 4], [5, 9, 0, 0], [3, 7, 0, 0]])
    assert found.mean_by_image(values).tolist() == [24 / 6, 5]


def test_the_penalty_is_that_of_the_paper() -> None:
    """Xu et al. 2015, equation 14: the sum over positions of (1 - the attention over all words) squared, added to the
    sentence's negative log-likelihood; here both divided by its words.
    """
    captions = Captions((("a dog runs",),))
    network = models.create("show_attend_and_tell_resnet20_cifar", 6, size=(16, 16)).eval()
    task = Caption(network, find_vocabulary(captions), frozenset())
    images, sentences = torch.randn(1, 3, 16, 16), captions.sentences
    losses = task.loss(images, sentences, None)
    encoded = encode_sentences(task.vocabulary, sentences, "cpu")
    words, attention = task.negative_log_likelihoods(task.maps(images), encoded)
    penalty = ((1 - attention[0].sum(0)) ** 2).sum()
    torch.testing.assert_close(losses["loss"], (words.sum() + penalty) / 4)
    torch.testing.assert_close(losses["cross_entropy"], words.mean())


def _evaluation(here: float, there: float, split: str = "test") -> Evaluation:
    return Evaluation(split, {"bleu4": here}, {"bleu4": there}, {}, {}, ())


def test_overfitting_is_said_where_training_captions_are_much_better() -> None:
    said = overfitting(_evaluation(0.03, 0.9)).replace("\N{NO-BREAK SPACE}", " ")
    assert said == "The network overfits: BLEU-4 is 90.0 % on training images and 3.0 % on others."
    assert overfitting(_evaluation(0.6, 0.9)) == ""
    assert overfitting(_evaluation(0.01, 0.1)) == ""
    assert overfitting(_evaluation(0.03, 0.9, "train")) == ""
    assert repetition(_evaluation(0, 0)).startswith("0 of 0 captions")


def test_digests_tell_sentences_apart() -> None:
    assert digest(("a", "dog")) == digest(("a", "dog")) != digest(("a", "cat"))


def test_attention_is_drawn_where_it_is() -> None:
    attention = np.zeros((1, 2, 2), np.float32)
    attention[0, 0, 1] = 1.0
    sheet = np.asarray(draw_attention(np.full((32, 32, 3), 128, np.uint8), ("개",), attention)).astype(int)
    tile = sheet[8:188, 196:376]
    colored = np.abs(tile - tile.mean(2, keepdims=True)).sum(2)
    assert colored[10, -10] > 10 * colored[-10, 10] + 1
    assert (sheet[190:, 196:] < 100).any()  # the word
