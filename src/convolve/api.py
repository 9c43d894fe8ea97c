"""Every command as a Python function. Written by tools/generate_api.py; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from convolve.commands import run_command
from convolve.experiments.command import ClaimList, TriedClaims
from convolve.verbs.ablate import Ablated
from convolve.verbs.attendance import Taken
from convolve.verbs.compare import Comparison
from convolve.verbs.convert import Converted
from convolve.verbs.data import Examined
from convolve.verbs.evaluate import Evaluated
from convolve.verbs.explain.results import Explanation
from convolve.verbs.export import Exported
from convolve.verbs.find import SimilarImages
from convolve.verbs.networks.catalog import Catalog
from convolve.verbs.networks.comparison import NetworkComparison
from convolve.verbs.networks.layer_table import Layers
from convolve.verbs.networks.weight_files import WeightFiles
from convolve.verbs.networks.winners import Winners
from convolve.verbs.predict import Predictions
from convolve.verbs.scratch import ExampleList, ExerciseFile, FilteredPhotograph, HomeworkCheck, WorkedCalculation
from convolve.verbs.style import Stylized
from convolve.verbs.sweep import Swept
from convolve.verbs.train import Folds, Trained


def data(
    path: str | Path,
    *,
    layout: str | None = None,
    annotations: str | Path | Sequence[str | Path] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    label_from: str | None = None,
    depth_scale: float | None = None,
    task: str | None = None,
    fix: str | Path | None = None,
    sheet: str | Path | None = None,
    report: str | Path | None = None,
    language: Literal["en", "ko"] | None = None,
    network: str = "resnet18",
    size: int | None = None,
    fit: Literal["crop", "letterbox", "stretch", "tiles"] | None = None,
    label_errors: bool = False,
    folds: int = 5,
    csv: str | Path | None = None,
    anchors: int | None = None,
    task_options: Mapping[str, object] | None = None,
    progress: bool = True,
) -> Examined:
    """Examine a dataset: layout, classes, image sizes, broken files, duplicates and leaks between splits.

    Args:
        path: Folder, file, or built-in dataset such as digits.
        layout: Layout of the data, such as folders, table, masks or coco; by default recognized.
        annotations: Tables or annotation files to read, by their paths below the folder; by default recognized.
        image_column: Column of a table that names the images.
        label_column: Column of a table that holds the labels.
        label_from: Regular expression on image paths; its first group (or match) is the label.
        depth_scale: What the numbers of depth maps are divided by for meters; by default 1000 for whole numbers
            (millimeters), 256 in KITTI's files, and 1 for other numbers.
        task: Task whose annotations to examine, where there are labels and masks; by default the most specific
            ones.
        fix: Write a cleaned table (.csv) to train from: of exact copies with one label one stays (test before
            validation before train), those with different labels go, near duplicates stay in one split, unreadable
            images are left out, and missing splits are drawn.
        sheet: Write a PNG of what a network will see, after augmentation.
        report: Write a page (.html) with all that was found, duplicates side by side, and the contact sheet.
        language: Language of the page: en or ko (default: en).
        network: Network whose training the contact sheet shows.
        size: Height and width of its input in pixels; by default as in training.
        fit: How an image is fitted to the input: crop, letterbox, stretch or, for segmentation, tiles; by default
            as in training.
        label_errors: List labels that are likely wrong; PATH is then a run, or a folder of folds, whose data is
            examined.
        folds: For label errors, how many folds to train by the recipe of a single run; with 1 none, and only the
            images that the run has not learned from are judged.
        csv: Also write the label errors to this file.
        anchors: (Detection) Find this many anchors for the boxes by k-means, in pixels of the network's input; 9 on
            the page by default.
        task_options: Options of a task that was registered with `convolve.register_task`, by name.
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("data", locals())  # type: ignore[no-any-return]


def networks(
    name: str | None = None,
    others: str | Path | Sequence[str | Path] = (),
    *,
    find: str | None = None,
    sort: Literal["name", "year", "parameters", "macs", "top1", "top5", "speed"] | None = None,
    speed: bool = False,
    input: str | None = None,
    classes: int | None = None,
    task: str | None = None,
    figure: str | Path | None = None,
    weights: bool = False,
    fetch: bool = False,
    winners: bool = False,
    activation: Literal["none", "relu", "leaky-relu", "prelu", "elu", "gelu", "silu", "sigmoid", "tanh", "scaled-tanh"]
    | None = None,
    initializer: Literal["he", "xavier", "lecun", "orthogonal", "normal", "zeros"] | None = None,
    dropout: float | None = None,
    normalization: Literal["none", "batch", "layer", "group", "lrn"] | None = None,
    pooling: Literal["max", "average", "min"] | None = None,
    pool_window: int | None = None,
    pool_stride: int | None = None,
    width: float | None = None,
    auxiliary: bool | None = None,
    connections: Literal["table", "full"] | None = None,
    progress: bool = True,
) -> Catalog | Layers | NetworkComparison | Winners | WeightFiles:
    """List the networks, show the layers of one, or several side by side.

    Args:
        name: Network whose layers to show: a name, its layers as a text, or a file, as `convolve train` takes them;
            without it, all networks are listed.
        others: More networks, to compare with it side by side.
        find: List only networks that have all these words in their name, title, authors, venue or year.
        sort: Order of the list: lowest counts and errors, or highest speed, first; year by default.
        speed: Measure each listed network's inference speed on this machine, in images/s.
        input: Input size as channels x height x width, such as 3x224x224; the published one by default, of layers
            as a text 1x28x28 if they can take it.
        classes: Number of classes; the published one by default.
        task: List only networks that `convolve train` takes for this task, such as `segment`.
        figure: Write a drawing of the network to this file (.svg or .png).
        weights: List the official weights that are on this machine: network, size, path and source.
        fetch: Fetch the network's official weights now, for a training later.
        winners: List the winners of ILSVRC from 2010 to 2017 and their errors; `--figure` draws them.
        activation: Activation function in place of the network's own ones.
        initializer: Initial weights of convolutions and dense layers, with biases of 0: `he`, `xavier`, `lecun`,
            `orthogonal`, `normal` with deviation 0.01, or `zeros`.
        dropout: Probability of dropout (0 to 0.95), where the network has it, else before the last dense layer.
        normalization: Normalization in place of the network's own one, else after each convolution.
        pooling: Pooling in place of the network's own one, except global pooling.
        pool_window: Side of the windows of poolings that shrink the map.
        pool_stride: Stride of poolings that shrink the map.
        width: Factor on all numbers of channels and units, except those of images, classes and boxes.
        auxiliary: Whether the network has its auxiliary heads.
        connections: Connections of LeNet-5's C3: those of the paper's `table` I, or `full`.
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("networks", locals())  # type: ignore[no-any-return]


def train(
    data: str | Path | None = None,
    *,
    task: str | None = None,
    network: str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
    size: int | None = None,
    save_memory: bool | None = None,
    fit: Literal["crop", "letterbox", "stretch", "tiles"] | None = None,
    activation: Literal["none", "relu", "leaky-relu", "prelu", "elu", "gelu", "silu", "sigmoid", "tanh", "scaled-tanh"]
    | None = None,
    initializer: Literal["he", "xavier", "lecun", "orthogonal", "normal", "zeros"] | None = None,
    dropout: float | None = None,
    normalization: Literal["none", "batch", "layer", "group", "lrn"] | None = None,
    pooling: Literal["max", "average", "min"] | None = None,
    pool_window: int | None = None,
    pool_stride: int | None = None,
    width: float | None = None,
    auxiliary: bool | None = None,
    connections: Literal["table", "full"] | None = None,
    layout: str | None = None,
    annotations: str | Path | Sequence[str | Path] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    label_from: str | None = None,
    depth_scale: float | None = None,
    optimizer: Literal[
        "gradient-descent", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"
    ]
    | None = None,
    learning_rate: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    schedule: Literal["constant", "step", "cosine", "one-cycle", "plateau"] | None = None,
    warmup: float | None = None,
    clip_norm: float | None = None,
    bias_rate: float | None = None,
    precise_bn: bool | None = None,
    ema_decay: float | None = None,
    patience: int | None = None,
    crop: float | None = None,
    flip: bool | None = None,
    vertical_flip: bool | None = None,
    rotate: float | None = None,
    scale: float | None = None,
    translate: float | None = None,
    noise: float | None = None,
    brightness: float | None = None,
    contrast: float | None = None,
    saturation: float | None = None,
    pca: float | None = None,
    hue: float | None = None,
    mosaic: float | None = None,
    multi_scale: float | None = None,
    validation: float | None = None,
    test: float | None = None,
    group_by: str | None = None,
    folds: int | None = None,
    subset: int | None = None,
    weights: str | Path | None = None,
    freeze: str | None = None,
    gap: bool | None = None,
    recipe: str | Path | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    minutes: float | None = None,
    tensorboard: bool = False,
    validate_only: bool = False,
    language: Literal["en", "ko"] = "en",
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    loss: Literal[
        "arcface",
        "triplet",
        "cross-entropy",
        "cross-entropy-sum",
        "dice",
        "focal",
        "wing",
        "l1",
        "smooth-l1",
        "heatmap",
        "mse",
    ]
    | None = None,
    margin: float | None = None,
    logit_scale: float | None = None,
    images_per_identity: int | None = None,
    test_identities: float | None = None,
    label_smoothing: float | None = None,
    mixup: float | None = None,
    balance: Literal["none", "weights", "sampler"] | None = None,
    permute: bool | None = None,
    box_loss: Literal["smooth-l1", "diou"] | None = None,
    box_weight: float | None = None,
    anchors: Literal["kmeans", "network"] | None = None,
    min_visible: float | None = None,
    nms: Literal["per-class", "agnostic", "soft"] | None = None,
    nms_iou: float | None = None,
    freeze_norm: bool | None = None,
    alternating: bool | None = None,
    proposals: Literal["fast", "quality", "windows"] | None = None,
    regions: int | None = None,
    ignore: str | None = None,
    sigma: float | None = None,
    pairs: str | None = None,
    style: str | None = None,
    loss_network: str | None = None,
    style_weight: float | None = None,
    tv_weight: float | None = None,
    blur_sigma: float | None = None,
    upscale: int | None = None,
    downscaling: Literal["bicubic", "opencv-cubic", "area"] | None = None,
    noise_sigma: float | None = None,
    hole_fraction: float | None = None,
    rebalance: bool | None = None,
    min_count: int | None = None,
    beam: int | None = None,
    si_lambda: float | None = None,
    task_options: Mapping[str, object] | None = None,
    progress: bool = True,
) -> Trained | Folds:
    """Train a network on images; the result is a run: a folder with weights, metrics and a report.

    Options that are not given are chosen for the data and the machine, and printed with the reason.

    Args:
        data: Folder, file, or built-in dataset such as digits.
        task: What to learn: `classify`, `localize`, `detect`, `segment`, `landmarks`, `embed`, `caption`, `depth`,
            `restore`, `stereo` or `style`; by default what the annotations and the network are for.
        network: Name of the network, which `convolve networks` lists; or its layers, as in `conv 8 3 relu | pool 2
            | flatten | dense classes`; or a file: a TOML file of layers in blocks, a Darknet `.cfg`, or a run's
            `network.json`.
        epochs: Passes over the training images.
        batch: Images per step.
        seed: Seed of all random numbers; the same seed gives the same weights.
        size: Height and width of the network's input, in pixels.
        save_memory: Recompute a DenseNet's concatenations in the backward pass: slower, much less memory, the same
            weights.
        fit: How an image is fitted to the input: crop, letterbox or stretch; for segmentation also tiles, which
            cuts large images into overlapping tiles at full scale; for restoration only tiles. What a crop leaves
            out is not seen: objects there count as missed.
        activation: Activation function in place of the network's own ones.
        initializer: Initial weights of convolutions and dense layers, with biases of 0: `he`, `xavier`, `lecun`,
            `orthogonal`, `normal` with deviation 0.01, or `zeros`.
        dropout: Probability of dropout (0 to 0.95), where the network has it, else before the last dense layer.
        normalization: Normalization in place of the network's own one, else after each convolution.
        pooling: Pooling in place of the network's own one, except global pooling.
        pool_window: Side of the windows of poolings that shrink the map.
        pool_stride: Stride of poolings that shrink the map.
        width: Factor on all numbers of channels and units, except those of images, classes and boxes.
        auxiliary: Whether the network has its auxiliary heads.
        connections: Connections of LeNet-5's C3: those of the paper's `table` I, or `full`.
        layout: Layout of the data, such as folders, table, masks or coco; by default recognized.
        annotations: Tables or annotation files to read, by their paths below the folder; by default recognized.
        image_column: Column of a table that names the images.
        label_column: Column of a table that holds the labels.
        label_from: Regular expression on image paths; its first group (or match) is the label.
        depth_scale: What the numbers of depth maps are divided by for meters; by default 1000 for whole numbers
            (millimeters), 256 in KITTI's files, and 1 for other numbers.
        optimizer: Update rule.
        learning_rate: Learning rate: the highest that the schedule reaches.
        momentum: Momentum of `momentum`, `nesterov` and `rmsprop` (0 to 1).
        weight_decay: Weight decay; biases and normalization layers have none.
        schedule: How the learning rate changes over the training.
        warmup: Epochs of learning rate warm-up.
        clip_norm: Maximum gradient norm; 0 disables clipping.
        bias_rate: Factor on the learning rate of biases of convolutions and fully connected layers.
        precise_bn: Estimate the statistics of batch normalization anew, on training images, before each validation
            (precise BN, Wu and Johnson 2021); by default where an epoch has few steps.
        ema_decay: Decay of an exponential moving average of the weights, which is then evaluated and saved; 0
            disables it.
        patience: Stop after this many epochs without improvement on the validation split; 0 disables early
            stopping.
        crop: Smallest fraction of the area that a random crop keeps; 1 disables cropping.
        flip: Flip left and right with probability 0.5.
        vertical_flip: Flip top and bottom with probability 0.5.
        rotate: Maximum rotation in degrees, either way.
        scale: Maximum relative change of size, either way; 0.1 is a factor from 0.9 to 1.1.
        translate: Maximum translation, either way, as a fraction of the side.
        noise: Standard deviation of Gaussian noise, as a fraction of white.
        brightness: Maximum relative change of brightness, either way.
        contrast: Maximum relative change of contrast, either way.
        saturation: Maximum relative change of saturation, either way.
        pca: Standard deviation of AlexNet's PCA color shift (Krizhevsky et al. 2012, section 4.1), which has 0.1.
        hue: Maximum rotation of hue, either way, as a fraction of the color circle.
        mosaic: Probability with which all images of a batch are each put together from four (Bochkovskiy et al.
            2020).
        multi_scale: Maximum relative change of the input's sides, either way, in steps of 32 pixels; new ones every
            ten batches (Redmon, Farhadi 2017, "Multi-Scale Training").
        validation: Fraction of the images that selects the best epoch.
        test: Fraction of the images that is used once, at the end.
        group_by: Regular expression on image names; images with the same first group (or match) stay in one split.
        folds: Number of cross-validation folds; reports mean and standard deviation.
        subset: Number of training images to learn from, of each class in proportion, drawn by the seed; validation
            and test stay whole.
        weights: Initial weights: a run's folder, a weight file, `imagenet` or `coco` (official ones), `none`, or
            `auto`, the default: official ones for color photographs, if the network has any. The head is replaced
            if the classes differ.
        freeze: Freeze this stage and all before it; their batch normalization stays in evaluation mode.
        gap: Replace the head by global average pooling and one fully connected layer (Zhou et al. 2016), for class
            activation maps.
        recipe: Recipe to start from (a run's `recipe.toml`); other options override it.
        out: Folder of the run; by default a new one in `runs`.
        resume: Continue this interrupted run; the weights will be the same, bit for bit.
        minutes: Time for everything: as many epochs are made as fit, unless --epochs is given. By default 10 where
            no network is named, which is then chosen too.
        tensorboard: Also write the metrics for TensorBoard, into the run's folder.
        validate_only: Measure the ended run on the validation split, and leave the test split to `convolve
            evaluate`.
        language: Language of the report: en or ko.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        loss: (Embedding) The loss: `arcface` tells identities apart with an angular margin; `triplet` compares
            images with images. (Segmentation) Loss: cross-entropy (its mean over the pixels, or their sum), dice,
            or focal. (Landmarks) Loss of a point: `wing`, `l1` or `smooth-l1` of its coordinates, or the squared
            error of its `heatmap`. (Restoration) Loss of a pixel: its absolute error, `l1`, or its squared error,
            `mse`.
        margin: (Embedding) How much nearer the same must be than others: an angle in radians (arcface, 0.5), a
            squared distance (triplet, 0.2).
        logit_scale: (Embedding) By what arcface multiplies cosines before the softmax; smaller for few or noisy
            identities.
        images_per_identity: (Embedding) How many images of an identity follow one another in a batch; 1 draws
            images at random.
        test_identities: (Embedding) Fraction of the identities whose images are all held out as the test split, in
            place of any other, so that it has identities that training has never seen; 0 splits by images.
        label_smoothing: (Classification) Label smoothing: probability spread over all classes (0 to 1).
        mixup: (Classification) Alpha of mixup, which blends pairs of images and labels by a ratio from Beta(alpha,
            alpha); 0 disables it.
        balance: (Classification) Against class imbalance: class `weights` in the loss, or a `sampler` that draws
            rare classes more often. (Segmentation) Against class imbalance: class `weights` in the loss.
        permute: (Classification) Permute the pixels of every image in the same way, drawn by the seed, after
            augmentation and also wherever the run predicts: what a network loses without neighborhoods.
        box_loss: (Localization) Loss of the box: `smooth-l1` of its center and sides, or `diou`, one minus the IoU
            plus the distance of the centers (Zheng et al. 2020).
        box_weight: (Localization) Weight of the box's loss; the class's cross-entropy has 1.
        anchors: (Detection) Sizes of boxes that the network starts from: `kmeans` of the training boxes, or the
            `network`'s own.
        min_visible: (Detection) Fraction of a box's area that augmentation must leave visible; other boxes are
            dropped.
        nms: (Detection) Non-maximum suppression: `per-class`, class-`agnostic`, or `soft`, which lowers scores
            instead.
        nms_iou: (Detection) Overlap (IoU) above which the detection of lower score is suppressed.
        freeze_norm: (Detection) Keep all batch normalization as it is in the weights that the training starts from.
        alternating: (Detection) Train Faster R-CNN in the paper's four alternating steps, each a quarter of the
            epochs, not all at once.
        proposals: (Detection) Where R-CNN, SPP-net and Fast R-CNN look for objects: regions by selective search,
            `fast` (about 1 s an image, once: they are stored) or `quality` (about 3 s), or sliding `windows`.
        regions: (Detection) Number of proposed regions of each image that are used, the best first; 2000 by
            default.
        ignore: (Segmentation) Class whose pixels count neither in training nor in evaluation.
        sigma: (Landmarks) Standard deviation of the Gaussian in a heatmap, as a fraction of the input's side.
        pairs: (Landmarks) Points that a flip exchanges, such as `left_eye=right_eye,left_ear=right_ear`; `names`
            goes by the names.
        style: (Style transfer) Image whose style the network learns to give to photographs.
        loss_network: (Style transfer) Network whose maps are compared: any with official ImageNet weights, or the
            folder of a run. It learns nothing.
        style_weight: (Style transfer) Weight of the style's loss, where the content's is 1.
        tv_weight: (Style transfer) Weight of the differences of neighboring pixels; more is smoother.
        blur_sigma: (Restoration) Deblurring: standard deviation of the Gaussian that blurs, in pixels; 0 for none.
        upscale: (Restoration) Super resolution: how many times as high and wide the restored image is, 1 to 4; 1
            for none.
        downscaling: (Restoration) How the small image is made: `bicubic` as MATLAB's imresize, `opencv-cubic`
            without antialiasing, or the mean of each `area`.
        noise_sigma: (Restoration) Denoising: standard deviation of Gaussian noise, in gray levels of 255; 0 for
            none.
        hole_fraction: (Restoration) Inpainting: what fraction of a training image is a hole, on average; each has
            half of that to one and a half.
        rebalance: (Restoration) Colorization: whether rare colors weigh more, by how many pixels of the training
            images have them.
        min_count: (Captions) Fewest times that a word must occur in the training captions to be learned.
        beam: (Captions) Beam search: how many sentences are continued at every word; 1 takes the likeliest word
            each time.
        si_lambda: (Depth) Lambda of the scale-invariant loss: 0 for the squared error of the logarithm of depth, 1
            to disregard the scale of each image.
        task_options: Options of a task that was registered with `convolve.register_task`, by name.
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("train", locals())  # type: ignore[no-any-return]


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    *,
    split: Literal["train", "validation", "test", "all"] | None = None,
    report: str | Path | None = None,
    language: Literal["en", "ko"] = "en",
    translate: int | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Evaluated:
    """Evaluate a trained network, or an export of one, on a split or on other data, and write a report.

    Args:
        run: Folder of the run, or of an export.
        data: Other data to evaluate on, with the run's classes or some of them; by default the run's own. An export
            has none of its own.
        split: Split to evaluate on; by default the run's test split, and all of other data.
        report: File of the report; by default `evaluation.html` in the run's folder.
        language: Language of the report: en or ko.
        translate: Also measure a classifier on images that are shifted by 1 to so many pixels of its input, left,
            right, up and down, filled as in augmentation.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("evaluate", locals())  # type: ignore[no-any-return]


def predict(
    run: str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    every: str | None = None,
    boxes: str | Path | None = None,
    box_class: str | None = None,
    box_margin: float | None = None,
    csv: str | Path | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    top: int | None = None,
    threshold: float | None = None,
    out: str | Path | None = None,
    min_face: int | None = None,
    nms: Literal["per-class", "agnostic", "soft"] | None = None,
    nms_iou: float | None = None,
    tile: int | None = None,
    svd: bool | None = None,
    count: bool | None = None,
    regions: str | Path | None = None,
    minimum: str | None = None,
    figure: str | Path | None = None,
    mask: str | Path | None = None,
    beam: int | None = None,
    task_options: Mapping[str, object] | None = None,
    progress: bool = True,
) -> Predictions:
    """Predict images with a trained network, or with an export of one.

    Args:
        run: Folder of the run, or of an export.
        images: Images, folders of images, video files, and cameras, such as `camera:0`; `-` reads their names from
            standard input, one per line.
        every: Of a video or a camera, predict one frame in so many (`10`), or one every so many seconds (`2s`).
        boxes: Predict what is cut out around each box of this file, such as the `predictions.json` of a detector
            for the same images.
        box_class: With `--boxes`: the class of the boxes, where the file has several.
        box_margin: With `--boxes`: the fraction of a box's width and height that is added on every side; 0.25 by
            default.
        csv: Also write the predictions to this file.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        top: (Embedding) Number of known identities to list for each image, nearest first; 3 by default.
            (Classification, Localization) Number of classes to list for each image, most likely first; 3 by
            default. (Detection) Number of detections of each image, most confident first; 300 by default.
            (Segmentation) Number of classes to list for each image, largest area first; 3 by default.
        threshold: (Embedding) Distance from which on an image is `unknown`, 0 to 2; by default the run's own,
            calibrated on its validation split. (Classification) Minimum confidence: images below it are labeled
            `unsure`; with multi-label, labels below it are omitted. (Localization) Minimum confidence: images below
            it are labeled `unsure`; their box is given all the same. (Faces) Minimum confidence of a face; 0.7 by
            default, as published. (Detection) Minimum confidence of a detection; by default the one of the best F1
            on the validation split. (Segmentation) Minimum confidence: pixels below it are ignored. (Landmarks)
            Minimum confidence of a point (the height of its heatmap) that is drawn and written; 0 by default.
        out: (Localization) Folder for the images with their box drawn, and `predictions.json` (COCO). (Faces)
            Folder for the images with their faces and points drawn, and `predictions.json` (COCO's boxes and
            keypoints). (Detection) Folder for the images with their boxes drawn, `predictions.json` (COCO),
            `results.json` (COCO's results), and text files as YOLO has them. (Segmentation) Folder for each image's
            mask (an indexed PNG of the image's size), an overlay on the image, and `predictions.json`, all regions
            as COCO polygons. (Landmarks) Folder for the images with their points drawn, and for `predictions.json`,
            which has them as COCO does. (Style transfer) Folder for the images in the run's style, each a PNG file.
            (Restoration) Folder for the restored images, each a PNG file. (Captions) Folder for `results.json`
            (COCO's results), and for what a network with attention looks at, word by word. (Depth) Folder for each
            image's depth map (a 16-bit PNG of the image's size) and an overlay of its colors on the image. (Stereo
            pairs) Folder for each image's disparity map (a 16-bit PNG of the image's size) and an overlay of its
            colors on the image.
        min_face: (Faces) Side in pixels of the smallest face to look for; 20 by default. Larger ones are found
            faster.
        nms: (Detection) Non-maximum suppression: `per-class`, class-`agnostic`, or `soft`, which lowers scores
            instead.
        nms_iou: (Detection) Overlap (IoU) above which the detection of lower score is suppressed.
        tile: (Detection) Cut larger images into overlapping tiles of this many pixels, and merge what is found in
            them.
        svd: (Detection) Replace the dense layers over regions by products of rank 1024 and 256, as Fast R-CNN may:
            faster, less exact.
        count: (Detection) Also show a table of how many objects of each class there are in all images.
        regions: (Detection) With `--count`: a TOML file of a shelf's regions; objects are counted in each, by the
            photographs' times.
        minimum: (Detection) With `--count`: classes and their minimum in the whole image, such as `bottle=3,cup=2`;
            fewer are marked.
        figure: (Detection) With `--count`: draw the numbers over time, a curve for each class and region, to this
            .svg or .png file.
        mask: (Restoration) Inpainting: an image as large as the one to fill, white in the hole, or a folder of such
            images with the names of those to fill; without one, transparent pixels are the hole.
        beam: (Captions) Beam search: how many sentences are continued at every word; 1 takes the likeliest word
            each time.
        task_options: Options of a task that was registered with `convolve.register_task`, by name.
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("predict", locals())  # type: ignore[no-any-return]


def explain(
    run: str | Path,
    images: str | Path | Sequence[str | Path] = (),
    *,
    method: Literal[
        "cam",
        "grad-cam",
        "grad-cam++",
        "layer-cam",
        "score-cam",
        "eigen-cam",
        "saliency",
        "guided-backpropagation",
        "integrated-gradients",
        "smooth-grad",
        "occlusion",
        "deconvnet",
    ]
    | Sequence[
        Literal[
            "cam",
            "grad-cam",
            "grad-cam++",
            "layer-cam",
            "score-cam",
            "eigen-cam",
            "saliency",
            "guided-backpropagation",
            "integrated-gradients",
            "smooth-grad",
            "occlusion",
            "deconvnet",
        ]
    ] = (),
    classes: str | Path | Sequence[str | Path] = (),
    stage: str | None = None,
    show: Literal[
        "filters",
        "feature-maps",
        "patches",
        "receptive-field",
        "statistics",
        "contributions",
        "embedding",
        "class-images",
    ]
    | Sequence[
        Literal[
            "filters",
            "feature-maps",
            "patches",
            "receptive-field",
            "statistics",
            "contributions",
            "embedding",
            "class-images",
        ]
    ] = (),
    out: str | Path | None = None,
    language: Literal["en", "ko"] = "en",
    boxes: str | Path | None = None,
    sanity: bool = False,
    faithfulness: bool = False,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Explanation:
    """Show which parts of images a trained network bases its predictions on, how far to trust that, and what its
    layers hold.

    The arithmetic is fp32 unless another precision is named, so that gradients are exact.

    Args:
        run: Folder of the run.
        images: Images and folders of images, `-` for names from standard input; by default some of the run's test
            split.
        method: Methods of attribution, shown side by side; by default `cam` where the network allows it, else
            `grad-cam`, and `layer-cam` for detection.
        classes: Classes to explain, shown side by side; by default the predicted one, in segmentation that of most
            pixels.
        stage: Stage whose maps are used, such as `stage3`; by default the last one with a map.
        show: Views inside the network; each is an image file in the folder.
        out: Folder for the heatmaps, `attributions.npz` and `explanations.html`; by default `explanations` in the
            run's folder.
        language: Language of the page: en or ko.
        boxes: Folder of Pascal VOC XML files with the images' names: measure by their boxes how well heatmaps find
            the object.
        sanity: Randomize the network from the head down: a method whose maps stay the same shows the image, not the
            network.
        faithfulness: Measure deletion and insertion: does the score follow as pixels go in the order of their
            attribution? With the time that each method takes.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("explain", locals())  # type: ignore[no-any-return]


def compare(
    runs: str | Path | Sequence[str | Path],
    *,
    baselines: Literal["knn", "linear-svm", "rbf-svm"] | Sequence[Literal["knn", "linear-svm", "rbf-svm"]] = (),
    figure: str | Path | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Comparison:
    """Put runs, exports and networks side by side: accuracy against multiply-adds, parameters and measured speed.

    Args:
        runs: Folders of runs and of exports, or names of networks with their published accuracy; two or more, or
            one run with baselines.
        baselines: Also classify the plain pixels, on the splits of the first run, by nearest neighbors or by
            support vector machines.
        figure: Draw accuracy against cost into this file (.svg or .png).
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("compare", locals())  # type: ignore[no-any-return]


def ablate(
    recipe: str | Path,
    *,
    out: str | Path | None = None,
    seeds: int = 3,
    only: str | Path | Sequence[str | Path] = (),
    figure: str | Path | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Ablated:
    """Switch off each thing that a recipe has, one at a time, and measure what it was worth.

    Args:
        recipe: Recipe, or folder of a run: what it leaves open is chosen as in training, and stays so.
        out: Folder of the runs; by default a new one in `runs`. Those that have ended there are not repeated.
        seeds: Trainings of each recipe, with the seeds 0, 1 and so on; 3 by default.
        only: Options to switch off, such as `rotate weight_decay`; by default all that the recipe has.
        figure: Draw what each thing is worth into this file (.svg or .png).
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("ablate", locals())  # type: ignore[no-any-return]


def sweep(
    recipe: str | Path,
    *,
    learning_rate: str | None = None,
    weight_decay: str | None = None,
    momentum: str | None = None,
    batch: str | None = None,
    epochs: str | None = None,
    size: str | None = None,
    warmup: str | None = None,
    clip_norm: str | None = None,
    ema_decay: str | None = None,
    crop: str | None = None,
    rotate: str | None = None,
    scale: str | None = None,
    translate: str | None = None,
    subset: str | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    network: str | None = None,
    points: int = 5,
    seeds: int = 1,
    out: str | Path | None = None,
    figure: str | Path | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Swept:
    """Train a recipe with several values of its options; the best are chosen on the validation split, and the test
    split is used once, for them.

    Args:
        recipe: Recipe, or folder of a run: what it leaves open is chosen for each training.
        learning_rate: Learning rates: the highest that the schedule reaches.
        weight_decay: Weight decays, such as 0,0.0005,0.05.
        momentum: Momenta of `momentum`, `nesterov` and `rmsprop`.
        batch: Numbers of images per step.
        epochs: Passes over the training images.
        size: Heights and widths of the input.
        warmup: Epochs of warm-up.
        clip_norm: Maximum gradient norms.
        ema_decay: Decays of the average of the weights.
        crop: Smallest random crops.
        rotate: Random rotations, in degrees.
        scale: Random changes of scale.
        translate: Random shifts, in fractions of the input.
        subset: Numbers of training images.
        optimizer: Update rules, such as sgd,adam.
        schedule: Schedules of the learning rate.
        network: Networks, such as lenet5,lenet5_keras.
        points: Values of each range, its ends among them; 5 by default.
        seeds: Trainings of each combination, with the seeds 0, 1 and so on; 1 by default.
        out: Folder of the runs; by default a new one in `runs`. Those that have ended there are not repeated.
        figure: Draw the metric over the values, of one option or two, into this file (.svg or .png).
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("sweep", locals())  # type: ignore[no-any-return]


def convert(
    files: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    network: str | None = None,
    classes: str | Path | None = None,
    mean: str | None = None,
    scale: str | None = None,
    bgr: bool | None = None,
    input: str | None = None,
    fit: Literal["crop", "letterbox", "stretch", "tiles"] | None = None,
    task: str | None = None,
    swap_axes: bool = False,
    blur_sigma: float | None = None,
    upscale: int | None = None,
    downscaling: Literal["bicubic", "opencv-cubic", "area"] | None = None,
    noise_sigma: float | None = None,
    task_options: Mapping[str, object] | None = None,
    progress: bool = True,
) -> Converted:
    """Turn a network that another program trained into a run, which predicts, explains and can be trained further.

    Files are those of Caffe, Darknet, Torch7, Keras and PyTorch. Those of ONNX, TensorFlow Lite and TensorFlow's
    frozen graphs become an export, which predicts and is evaluated and compared.

    Args:
        files: The network's file, or its two: `.prototxt` and `.caffemodel`, or `.cfg` and `.weights`; MTCNN's
            three.
        out: Folder of the run, by default a new one in `runs`; or of the export, which has no default.
        network: Network that the weights are of, where the file holds nothing but weights, such as
            `torchvision/resnet18`.
        classes: Text file with one class a line, in the order of the network's scores; also as ImageNet has them.
        mean: What is subtracted from pixels from 0 to 255, one value or one for each channel: 104,117,123.
        scale: What pixels are multiplied by after that, one value or one for each channel.
        bgr: Whether the network was trained on images whose blue comes first; those of Caffe are taken to be.
        input: Input size as channels x height x width, such as 3x224x224; the file's by default.
        fit: How an image is fitted to the input: crop, letterbox or stretch.
        task: What it does: `classify`, `detect`, `segment`, `landmarks` or `restore`; by default what its scores
            are for.
        swap_axes: Exchange rows and columns of all kernels, where the network was trained on transposed images, as
            by MATLAB.
        blur_sigma: (Restoration) Standard deviation of the Gaussian that blurred its training images, in pixels.
        upscale: (Restoration) How many times as high and wide its restored images are; by default as the network
            enlarges.
        downscaling: (Restoration) How its small images were made: `bicubic` as MATLAB's imresize, `opencv-cubic`,
            or `area`.
        noise_sigma: (Restoration) Standard deviation of the noise in its training images, in gray levels of 255.
        task_options: Options of a task that was registered with `convolve.register_task`, by name.
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("convert", locals())  # type: ignore[no-any-return]


def export(
    run: str | Path,
    *,
    out: str | Path,
    to: Literal["openvino", "onnx", "torch"] = "openvino",
    int8: bool = False,
    max_drop: float = 1.0,
    tolerance: float = 0.02,
    data: str | Path | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Exported:
    """Export a trained network with everything before and after it, once its answers are known to be the run's.

    Args:
        run: Folder of the run.
        out: Folder to write.
        to: Format: `openvino`; `onnx`; or `torch`, weights under the names of torchvision or timm, or a PyTorch
            program.
        int8: Quantize the network to 8 bits, where that is faster here and accurate enough.
        max_drop: Points by which the headline metric may fall with `--int8`; 1 by default.
        tolerance: Fraction of the answers that may differ from the run's; 0.02 by default.
        data: Images to compare and measure on, with the run's classes; by default the run's validation images.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("export", locals())  # type: ignore[no-any-return]


def find(
    image: str | Path,
    *,
    folder: str | Path,
    network: str = "resnet18",
    top: int = 10,
    out: str | Path | None = None,
    language: Literal["en", "ko"] = "en",
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> SimilarImages:
    """Find the images of a folder that a network finds most like an image.

    The first search makes a vector of each image of the folder and keeps it in the cache; later ones are fast.

    Args:
        image: Image to find others for.
        folder: Folder with the images to search, also in folders below it.
        network: Folder of a run that classifies or embeds images, or the name of a classifier with official
            ImageNet weights.
        top: Number of images to find.
        out: Page to write (.html); by default `NAME_similar.html` in the current folder, after the image.
        language: Language of the page: en, or ko for Korean.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("find", locals())  # type: ignore[no-any-return]


def attendance(
    photographs: str | Path | Sequence[str | Path],
    *,
    enrolled: str | Path,
    faces: str | Path,
    embedding: str | Path,
    out: str | Path,
    threshold: float | None = None,
    calibrate: bool = False,
    language: Literal["en", "ko"] = "en",
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Taken:
    """Find faces in photographs and compare them with those of enrolled people: who is present, absent, unknown.

    Nothing leaves this machine. Ask the people first: see the how-to page on consent and error rates.

    Args:
        photographs: Photographs and folders of photographs.
        enrolled: Folder with a folder of photographs for each person, or with one photograph for each, called by
            the name.
        faces: Folder of a run that finds faces: of the task faces, or of the task detect.
        embedding: Folder of a run of the task embed that was trained on faces cut out in the same way.
        out: New folder for the page, the table and the crops.
        threshold: Distance from which on a face is unknown, 0 to 2; by default the embedding's own.
        calibrate: Choose the threshold by the enrolled photographs, so that at most 1 % of the comparisons with
            another person are accepted; needs several photographs of some people.
        language: Language of the page: en, or ko for Korean.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("attendance", locals())  # type: ignore[no-any-return]


def style(
    content: str | Path,
    style: str | Path,
    *,
    out: str | Path | None = None,
    network: str | Path | Sequence[str | Path] = ("vgg19",),
    size: int | None = None,
    keep_color: bool = False,
    mask: str | Path | None = None,
    steps: int = 200,
    style_weight: float = 1000.0,
    tv_weight: float = 1.0,
    content_layers: str | Path | Sequence[str | Path] = (),
    style_layers: str | Path | Sequence[str | Path] = (),
    start: Literal["content", "noise"] = "content",
    seed: int = 0,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    threads: int | None = None,
    fast_convolutions: bool | None = None,
    progress: bool = True,
) -> Stylized:
    """Give a photograph the style of another image, such as a painting.

    The file is written anew every few seconds, so that the image can be watched as it becomes.

    Args:
        content: Image whose content stays.
        style: Image whose style it gets; of a network of fixed styles its number from 0, or 3,12 for a mixture.
        out: File to write (.png or .jpg); by default `NAME_stylized.png` in the current folder, after the content.
        network: Network whose maps are compared: any with official ImageNet weights, or the folder of a run. Or
            files (.onnx, .tflite, .pb) that do it in one pass: one network of fixed styles, or the two for the
            style of any image.
        size: Longer side of the image in pixels; by default the content's, and 512 at most.
        keep_color: Take on the style in luminance only, and keep the content's colors.
        mask: Image of the content's shape: the style goes where it is white, and the content stays where it is
            black.
        steps: Iterations of L-BFGS at the coarsest size; each doubling of the size has half as many.
        style_weight: Weight of the style's loss, where the content's is 1.
        tv_weight: Weight of the differences of neighboring pixels; more is smoother.
        content_layers: Layers whose maps stay as those of the content, such as `stage4.relu4_2`; by default the
            second activation of the last stage but one, as in the paper.
        style_layers: Layers whose Gram matrices become those of the style; by default the first activation of each
            stage, as in the paper.
        start: Whether the image begins as the content or as noise.
        seed: Draws the noise.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: Number format of the arithmetic; weights are stored in fp32. A trained network is used as it was
            trained.
        threads: Number of processor threads.
        fast_convolutions: Winograd's filtering for wide 3x3 convolutions, one matrix product for those with many
            weights (fp32, CPU).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("style", locals())  # type: ignore[no-any-return]


def scratch(
    operation: Literal[
        "size",
        "layer",
        "conv2d",
        "conv1d",
        "transposed-conv",
        "pool",
        "gap",
        "affine",
        "maxout",
        "activation",
        "dropout",
        "batchnorm",
        "layernorm",
        "lrn",
        "softmax",
        "hinge",
        "l1",
        "l2",
        "optimizer",
        "init",
        "cam",
        "confusion",
        "iou",
        "nms",
        "average-precision",
        "yolo",
        "filters",
        "proposals",
        "homework",
    ]
    | None = None,
    exercise: Literal["conv", "pool", "affine", "softmax", "batchnorm", "two-layer"] | None = None,
    *,
    example: str | None = None,
    input: str | None = None,
    kernel: str | None = None,
    bias: str | None = None,
    target: str | None = None,
    stride: int | None = None,
    padding: int | None = None,
    dilation: int | None = None,
    groups: int | None = None,
    kind: Literal[
        "max",
        "min",
        "average",
        "sigmoid",
        "tanh",
        "relu",
        "leaky relu",
        "elu",
        "formula",
        "graph",
        "paper",
        "caffe",
        "bowl",
        "saddle",
        "lecture",
        "scikit-learn",
        "v1",
        "v2",
        "v3",
    ]
    | None = None,
    size: int | None = None,
    probability: float | None = None,
    optimizer: Literal["gradient descent", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"]
    | None = None,
    learning_rate: float | None = None,
    steps: int | None = None,
    initializer: Literal["gaussian", "normal", "xavier", "he"] | None = None,
    seed: int | None = None,
    cell: str | None = None,
    anchors: str | None = None,
    confidence: float | None = None,
    iou_threshold: float | None = None,
    backward: bool | None = None,
    delta: str | None = None,
    check: str | Path | None = None,
    out: str | Path | None = None,
    page: str | Path | None = None,
    language: Literal["en", "ko"] | None = None,
    progress: bool = True,
) -> ExampleList | WorkedCalculation | FilteredPhotograph | ExerciseFile | HomeworkCheck:
    """Show how a layer computes, value by value, forward and backward, what layers cost, what optimizers and
    initializers do, or how boxes are found and judged; or filter a photograph, or group its regions.

    Args:
        operation: Operation to compute; without it and without --input, the lectures' worked examples are listed.
            homework writes a file with blanks, or checks one.
        exercise: Exercise of homework.
        example: Worked example from the lectures; other options override its own.
        input: Matrix such as "1 2; 3 4" (rows separated by ; or /, channels by |), a .csv or .npy file, or a
            photograph; for size rows and columns, for layer perhaps channels too, for optimizer where to start, for
            init examples, units and layers ("1000 100 10"), for cam maps separated by |, for confusion the counts.
            A row is an example (affine, maxout, softmax, hinge, batchnorm, layernorm), a position (lrn), a box as
            left top right bottom (iou), with its confidence and perhaps its class (nms), an image, a box and a
            score, or a score and 1 or 0 for right or wrong (average-precision), a descriptor t_x t_y t_w t_h c_1
            ... p_obj (yolo).
        kernel: Convolution kernel (filters separated by ||, for conv1d by |), weights of affine or maxout (pieces
            separated by |), γ of a normalization, dropout mask, window size for size, or for cam the weights of
            each class in a row; written like --input. For layer the layers, such as "3x3 3x3" or "5x5x10p2 pool2x2
            fc84" (rows x columns x filters, s the stride, p the padding).
        bias: Bias of a convolution, of affine or of maxout (one row per piece), or β of a normalization; default:
            none.
        target: Target of a loss: for softmax and hinge the true class of each row, counted from 1; for l1 and l2 a
            matrix. Without it, softmax has a Jacobian and no loss. For cam the class, counted from 1 (default: the
            one of the highest score). For iou the boxes of the ground truth; for average-precision the image and
            box of each object, or their number.
        stride: Stride of the window (default: 1, for pooling the window size), or side of yolo's cells in pixels
            (default: 64 for v1, else 32).
        padding: Zeros added on each side of the input, or for transposed-conv values cut off on each side of the
            output; default: 0.
        dilation: Spacing between kernel elements; default: 1.
        groups: Number of groups that channels and filters are divided into; default: 1.
        kind: Pooling (max, min, average; default: max), activation (default: relu, for init tanh), backward pass of
            batchnorm (in one formula, or node by node along the graph; default: formula), constants of lrn (paper,
            caffe; default: paper), surface of optimizer (bowl, saddle; default: bowl), side of the ground truth in
            confusion (lecture: columns; scikit-learn: rows; default: lecture), or version of yolo (v1, v2, v3;
            default: v1).
        size: Side of the pooling window (default: 2), number of channels that lrn sums over (default: 5), or of
            yolo's cells along each side of the image (default: 7 for v1, else 13).
        probability: Probability of dropout; default: 0.5.
        optimizer: Optimizer whose path is computed; default: all eight.
        learning_rate: Learning rate of optimizer; default: one that suits the surface, for each.
        steps: Number of steps of optimizer; default: 30.
        initializer: Initializer of init (gaussian: σ = 0.01, normal: σ = 1); default: all four.
        seed: Seed of init's random numbers; default: 0.
        cell: Row and column of yolo's cell, counted from 1, such as "4 3".
        anchors: Width and height in pixels of the anchor of each row of yolo v2 or v3, written like --input;
            default: the published ones.
        confidence: Confidence, or score, above which a box stays in nms and yolo; default: 0.5.
        iou_threshold: IoU above which nms removes a box, and average-precision takes a detection for right;
            default: 0.5.
        backward: Also compute the gradients.
        delta: Gradient of the loss with respect to the output; default: ones.
        check: File of homework to check. It is a program: it runs with your rights, in a process of its own, for at
            most 20 seconds.
        out: File of homework to write; default: homework_NAME.py.
        page: Write an HTML page: the animated calculation, or the filtered photograph.
        language: Language of the page: en or ko (default: en).
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("scratch", locals())  # type: ignore[no-any-return]


def claims(
    names: str | Path | Sequence[str | Path] = (),
    *,
    seeds: int = 3,
    minutes: float | None = None,
    quick: bool = False,
    out: str | Path | None = None,
    progress: bool = True,
) -> ClaimList | TriedClaims:
    """Try claims of the lectures as experiments, with several seeds; without a name, list all with their verdicts.

    A claim is supported, refuted or undecided by bounds that were set before it was tried.

    Args:
        names: Claims to try, or all.
        seeds: Number of seeds; fewer than three give no verdict.
        minutes: Time for each claim; no seed is begun after it.
        quick: Try it with one seed on scikit-learn's digits, to see what it does; there is no verdict.
        out: Folder, by default `runs/claims`, of what is found, of the figures and of the runs; seeds that are
            there already are not tried again.
        progress: Report progress on the console or in the notebook.

    Raises:
        ConvolveError: with one sentence.
    """
    return run_command("claims", locals())  # type: ignore[no-any-return]
