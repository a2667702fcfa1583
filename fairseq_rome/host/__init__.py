"""All that knows fairseq: its tasks, checkpoint files, text codec, batches, decoding, data and layers."""
