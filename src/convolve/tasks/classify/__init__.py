"""Classification: one class per image, or multi-label, where each label is present or not."""
