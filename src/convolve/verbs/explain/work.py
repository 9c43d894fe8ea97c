"""From the options of `convolve explain` to its pictures, arrays and page."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from convolve.choices import View
from convolve.errors import DataError, OptionError
from convolve.explainers.cam import averaged_head
from convolve.explainers.question import check_one_answer
from convolve.models import Network
from convolve.progress import Listener, Remark, Step
from convolve.runtime import Runtime
from convolve.tasks.task import Task, find
from convolve.training.run import Run, open_run
from convolve.verbs.explain.case import Case, Chosen
from convolve.verbs.explain.folder import Exhibition, Shown
from convolve.verbs.explain.judging import Judge
from convolve.verbs.explain.options import Explain
from convolve.verbs.explain.results import Explained, Explanation
from convolve.verbs.explain.subjects import Looked, Subjects, check_boxes, class_places, looked_at, subjects, true_boxes
from convolve.verbs.making import network_of
from convolve.verbs.running import restored

_OF_ONE_ANSWER: tuple[View, ...] = ("contributions", "embedding")


def explained(options: Explain, listener: Listener) -> Explanation:
    """Explain every image, a batch at a time. Raises `ConvolveError`."""
    trained = open_run(options.run)
    running = replace(options.running, precision=options.running.precision or "fp32")
    task, runtime = restored(trained, running)
    explaining = find(trained.manifest.task).explaining(task, trained.manifest.preprocessing)
    found = subjects(options, trained, explaining)
    case = Case(options, _chosen(options, task, listener), trained, task, explaining, runtime)
    if options.checks.boxes:
        check_boxes(options.checks.boxes, found.images)
    judge = Judge(case, partial(_fresh, trained, runtime), listener)
    exhibition = Exhibition(options.out or options.run / "explanations", trained, explaining.taken_for)
    first: Looked | None = None
    say = partial(explaining.said, asked=case.chosen.classes)
    for broken, looked in looked_at(found.images, say, runtime, trained.manifest.preprocessing):
        for place, error in broken.items():
            exhibition.leave_out(place, found.images.name(place), error)
        if looked:
            _exhibit(found, looked, case, judge, exhibition)
            first = first or looked
        listener(Step("explain", len(exhibition.images), len(found.images)))
    images = exhibition.results()
    if all(one.error for one in images):
        raise DataError(f"None of the {len(images)} images can be read; the first: {images[0].error}")
    methods = judge.verdicts()
    arrays, page = exhibition.write_arrays(), exhibition.write_page(methods)
    views = _views(case, first, exhibition) if options.show and first else {}
    return Explanation(images, methods, views, exhibition.folder, page, arrays)


def _fresh(trained: Run, runtime: Runtime) -> Network:
    """The run's network before it learned, from other draws than those that it began with, on the same device."""
    recipe, manifest = trained.recipe, trained.manifest
    other = replace(recipe, seed=(recipe.seed or 0) + 1)
    network, _ = network_of(other, len(manifest.classes), manifest.preprocessing)
    runtime.prepare(network)
    return network.eval()


def _chosen(options: Explain, task: Task, listener: Listener) -> Chosen:
    """What to explain by which methods; a method that nobody named is told with its reason. Raises `OptionError`, and
    `NetworkError` for a view that the network cannot give.
    """
    classes = tuple(class_places(options.classes, task.classes))
    network = task.network
    if options.stage is not None and options.stage not in network.strides:
        known = ", ".join(network.strides)
        raise OptionError(f"{network.card.name} has no stage '{options.stage}'; its stages are {known}.")
    for view in options.show:
        if view in _OF_ONE_ANSWER:
            check_one_answer(network, f"--show {view}")
    if options.method:
        return Chosen(tuple(dict.fromkeys(options.method)), classes)
    method, reason = default_method(network, options.stage)
    listener(Remark(f"{method}: {reason}"))
    return Chosen((method,), classes)


def default_method(network: Network, stage: str | None = None) -> tuple[str, str]:
    """The method that is taken when nobody names one, and why."""
    if averaged_head(network) is None:
        return "grad-cam", "the network does not end in global average pooling, whose weights alone would give the map"
    if stage not in (None, list(network.stages)[-1]):
        return "grad-cam", f"cam reads the last stage, and {stage} is asked for"
    return "cam", "the network ends in global average pooling, so that its weights alone give the map"


def _exhibit(found: Subjects, looked: Looked, case: Case, judge: Judge, exhibition: Exhibition) -> None:
    """A batch: its maps, what they are worth, and every image's sheet."""
    options, classes, said = case.options, case.task.classes, looked.said
    places = looked.places.tolist()
    names = [found.images.name(place) for place in places]
    wanted = [classes[first] for first in said.classes[:, 0].tolist()]
    truths = true_boxes(options.checks.boxes, names, looked, wanted, case.trained.manifest.preprocessing)
    maps = judge.maps(looked)
    judge.see(looked, maps, truths)
    for number, (place, name) in enumerate(zip(places, names, strict=True)):
        explained = zip(said.classes[number].tolist(), said.scores[number].tolist(), strict=True)
        scores = {classes[kind]: score for kind, score in explained}
        one = Explained(name, found.truths[place], said.labels[number], float(said.confidences[number]), scores)
        own = {method: heat[number] for method, heat in maps.items()}
        regions = None if said.regions is None else said.regions[number]
        exhibition.add(place, one, Shown(looked.pictures[number], own, truths[number], regions))


def _views(case: Case, looked: Looked, exhibition: Exhibition) -> dict[str, tuple[str, ...]]:
    """The views that are asked for, of the first images, and the files that each wrote."""
    from convolve.verbs.explain.insight import insight
    from convolve.verbs.explain.views import VIEWS

    names = [exhibition.images[place].image for place in looked.places.tolist()]
    inside = insight(case, looked, names, exhibition.folder)
    return {str(view): tuple(map(str, VIEWS[view](inside))) for view in dict.fromkeys(case.options.show)}
