"""Face recognition: faces found in photographs, aligned, embedded, and compared with those of enrolled people."""
