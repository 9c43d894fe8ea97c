"""From images on disk to batches: layouts, decoding, splits, the doctor, the cache and augmentation. No torch."""

from convolve.callable_package import answers_as_verb

answers_as_verb(__name__)
