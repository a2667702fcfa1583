"""Judges an edited model against the unedited one, by real decoding alone."""
