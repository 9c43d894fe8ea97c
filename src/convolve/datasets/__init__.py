"""From images on disk to batches: layouts, decoding, splits, the doctor, the cache and augmentation. No torch."""
