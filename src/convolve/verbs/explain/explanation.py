"""From the options of `convolve explain` to heatmaps, arrays and page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from convolve.choices import View
from convolve.errors import DataError, OptionError, RunError
from convolve.explainers.score_targets import check_image_output
from convolve.models import Network
from convolve.progress import Listener, Message, Progress
from convolve.runtime import Runtime
from convolve.setup.prepare import build_network
from convolve.setup.restore import restore_task
from convolve.tasks.task import Task
from convolve.training.run import Run, inner_path, open_run
from convolve.verbs.explain import Explain
from convolve.verbs.explain.images import (
    ChosenImages,
    ImageBatch,
    annotated_boxes,
    check_annotations,
    choose_images,
    read_batches,
)
from convolve.verbs.explain.measurement import Context, MethodMeter
from convolve.verbs.explain.output import ImageArrays, OutputFolder
from convolve.verbs.explain.results import Explanation, ImageExplanation

_OF_IMAGE_OUTPUT: tuple[View, ...] = ("contributions", "embedding")


def explain(options: Explain, listener: Listener) -> Explanation:
    """Explain all images, a batch at a time. Raises `ConvolveError`."""
    run = open_run(options.run)
    if run.manifest.preprocessing.permutation is not None:
        raise RunError(
            f"{options.run} was trained on images whose pixels are permuted, on which a map would show nothing; train "
            "it without --permute to explain it."
        )
    exact = replace(options.runtime, precision=options.runtime.precision or "fp32")
    task, runtime = restore_task(run, exact)
    preprocessing = run.manifest.preprocessing
    chosen = choose_images(options.images, run, task)
    images = chosen.images
    classes = class_indices(options.classes, task.score_names)
    methods = _choose_methods(options, task, listener)
    context = Context(options, methods, classes, run, task, runtime)
    if options.checks.boxes:
        check_annotations(options.checks.boxes, images)
    meter = MethodMeter(context, partial(_initialize, run, runtime), listener)
    output = OutputFolder(options.out or inner_path(options.run, "explanations"), run)
    first: ImageBatch | None = None
    targets_of = partial(task.explanation_targets, classes=classes, preprocessing=preprocessing)
    for errors, batch in read_batches(images, targets_of, runtime, preprocessing):
        for index, error in errors.items():
            output.leave_out(index, images.name(index), error)
        if batch:
            _add_batch(batch, chosen, context, meter, output)
            first = first or batch
        listener(Progress("explain", len(output.images), len(images)))
    results = output.results()
    if all(image.error for image in results):
        raise DataError(f"No image can be read; the first: {results[0].error}")
    measured = meter.results()
    arrays, page = output.write_arrays(), output.write_page(measured, options.language)
    views: dict[str, tuple[str, ...]] = {}
    if options.show and first:
        from convolve.verbs.explain.view_context import view_context
        from convolve.verbs.explain.views import VIEWS

        names = [output.images[index].image for index in first.indices.tolist()]
        shared = view_context(context, first, names, output.folder)
        views = {str(view): tuple(map(str, VIEWS[view](shared))) for view in dict.fromkeys(options.show)}
    return Explanation(results, measured, views, output.folder, page, arrays)


def class_indices(names: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """The indices of the classes of those names. Raises `DataError` for one that the run does not have."""
    if names and not classes:
        raise DataError("The run has no classes to choose from; leave out --classes.")
    for name in names:
        if name not in classes:
            raise DataError(f"The run does not know the class '{name}'; it knows {', '.join(classes)}.")
    return tuple(list(classes).index(name) for name in dict.fromkeys(names))


def _choose_methods(options: Explain, task: Task, listener: Listener) -> tuple[str, ...]:
    """The names of the methods; the default one is announced with its reason.

    Raises `OptionError` for an unknown stage, and `NetworkError` for a view that the network cannot give.
    """
    network = task.network
    if options.stage is not None and options.stage not in network.strides:
        stages = ", ".join(network.strides)
        raise OptionError(f"{network.card.name} has no stage '{options.stage}'; its stages are {stages}.")
    for view in options.show:
        if view in _OF_IMAGE_OUTPUT:
            check_image_output(network, f"--show {view}")
    if options.method:
        return tuple(dict.fromkeys(options.method))
    method, reason = task.explanation_method(options.stage)
    listener(Message(f"{method}: {reason}"))
    return (method,)


def _initialize(run: Run, runtime: Runtime) -> Network:
    """The run's network with randomly initialized weights, from another seed than the run's, on the same device."""
    recipe, manifest = run.recipe, run.manifest
    other = replace(recipe, seed=(recipe.seed or 0) + 1)
    network, _ = build_network(other, manifest.outputs, manifest.preprocessing)
    runtime.prepare(network)
    return network.eval()


def _add_batch(
    batch: ImageBatch, chosen: ChosenImages, context: Context, meter: MethodMeter, output: OutputFolder
) -> None:
    """A batch of the chosen images: their maps, what is measured by them, and the heatmaps of each. Boxes come from the
    folder that is asked for, else from the data.
    """
    targets, folder = batch.targets, context.options.checks.boxes
    preprocessing = context.run.manifest.preprocessing
    names = [chosen.images.name(index) for index in batch.indices.tolist()]
    boxes = [
        annotated_boxes(folder, name, explained[0], (height, width), preprocessing)
        if folder
        else chosen.boxes_in_input(index, explained[0], preprocessing)
        for index, name, explained, (height, width) in zip(
            batch.indices.tolist(), names, targets.names, batch.sizes.tolist(), strict=True
        )
    ]
    maps = meter.maps(batch)
    meter.measure(batch, maps, boxes)
    for row, name in enumerate(names):
        scores = dict(zip(targets.names[row], targets.scores[row].tolist(), strict=True))
        confidence = None if targets.confidences is None else float(targets.confidences[row])
        label = chosen.labels[batch.indices[row]]
        image = ImageExplanation(name, label, targets.predictions[row], confidence, scores)
        regions = None if targets.regions is None else targets.regions[row]
        own = {method: values[row] for method, values in maps.items()}
        arrays = ImageArrays(batch.pixels[row], own, boxes[row], regions)
        output.add(int(batch.indices[row]), image, arrays, targets)
