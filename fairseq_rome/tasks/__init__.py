"""fairseq tasks of the plugin; fairseq imports them when the package is its `--user-dir`."""
